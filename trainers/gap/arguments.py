"""The options of `zoo gap`. Imports no torch."""

from __future__ import annotations

import argparse

SIZES, GRAPHS = (16, 32, 64), 32
"""What is measured unless told otherwise."""
SUMMARY = "a learned network beside a compiled one: outputs, hints, whom nodes hear, parameters"
NETWORK = "a run, a checkpoint, shipped weights, or PROCESSOR.compiled-ALGORITHM"


def add_arguments(gap: argparse.ArgumentParser) -> None:
    """Add the options."""
    gap.add_argument("learned", metavar="LEARNED", help=NETWORK)
    gap.add_argument("compiled", metavar="COMPILED", help=f"likewise {NETWORK}")
    gap.add_argument("--sizes", metavar="N[,N…]", nargs="+", help=f"{','.join(map(str, SIZES))} by default")
    gap.add_argument("--graphs", type=int, default=GRAPHS, metavar="K", help=f"of each size; {GRAPHS} by default")
    gap.add_argument("--distribution", metavar="NAME", help="of the inputs; the first scored one by default")
    gap.add_argument("--seed", type=int, default=0, metavar="S", help="of the held-out stream, as in `zoo eval`")
    gap.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu", help="where; cpu by default")
    gap.add_argument("--out", metavar="DIR", help="folder for record, table and figure; by default RUN/gap/COMPILED")
    gap.add_argument("--runs-dir", default="runs", help="folder that holds the runs")
    gap.add_argument("--no-wandb", action="store_true", help="leave out the W&B table and image")


def run(options: argparse.Namespace) -> int:
    """Do what they ask."""
    from trainers.gap.command import command
    from trainers.usage import UsageError

    try:
        sizes = [int(size) for word in options.sizes or () for size in word.split(",")]
    except ValueError as error:
        raise UsageError(f"--sizes: {' '.join(options.sizes)} are not numbers", "write --sizes 16,32") from error
    return command(
        options.learned,
        options.compiled,
        use_wandb=not options.no_wandb,
        sizes=sizes or SIZES,
        graphs=options.graphs,
        distribution=options.distribution,
        seed=options.seed,
        device=options.device,
        out=options.out,
        runs_dir=options.runs_dir,
    )
