"""Networks trained to be compared with compiled ones, and the records of what came out.

`python -m trainers.gap.study NAME --start START --seed SEED` trains one, or goes on with it, measures its gap and
writes `results/gap/NAME/START-sSEED.json`, from which `trainers.gap.page` makes docs/GAP.md. `--list` shows what there
is.

Each network of configs/gap.yaml has the options that the compiled one has, so that parameters compare, and is wider. It
starts from drawn weights, from compiled ones, or from compiled ones with noise: whether training leaves the algorithm
that it is given, or comes back to it, says whether the compiled optimum is stable. There the last weights are measured,
not those that validate best.

Pairs of a parallel and a sequential algorithm for the same problem start from drawn weights alone. The two are trained
alike, and are networks of the same options; where only one of them can be compiled, the other takes its options.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tasks.registry import option, required
from trainers import ledger, runs, schema
from trainers.compiled import words as compiled_words
from trainers.config import compose
from trainers.config_groups import FOLDER, read_list
from trainers.diagnosis import NonFiniteError
from trainers.experiment import run
from trainers.gap.command import measure_gap
from trainers.gap.measure import measure as measure_sides
from trainers.networks import load_network
from trainers.usage import UsageError, unknown
from zoo.compiled import list_algorithms, processors

STUDY = FOLDER / "gap.yaml"
RECORDS = "gap"
STARTS: Mapping[str, Sequence[str]] = {
    "drawn": ("compiled=null",),
    "compiled": ("trainer.val_every=0", "trainer.max_steps=300"),
    "noise": ("trainer.val_every=0", "trainer.max_steps=300", "compiled_noise=0.1"),
    "noise_only": ("trainer.val_every=0", "trainer.max_steps=0", "compiled_noise=0.1"),
    "chance": ("trainer.val_every=0", "trainer.max_steps=0", "compiled=null"),
}
"""Where training starts, as words of the command line; the last two are not trained, and what others start from."""
SEEDS = 3
SIZES, PAIRED, GRAPHS = (16, 32, 64), (16, 32), 32
"""Sizes of the graphs that are measured, of pairs less, as sequential traces are long; and how many of each."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network of the study."""

    name: str = required("what it is called")
    processor: str = required("registry name")
    algorithm: str = required("the task, and the algorithm that it is compared with")
    minutes: float = required("processor minutes a seed from drawn weights, about, on one core")
    words: tuple[str, ...] = required("how it is trained, in the words of the command line")
    steps: int = option(0, "training steps, where they are not those of the words")
    precision: Literal["float32", "float64"] = option(
        "float32", "of drawn weights; without a norm, latents may grow too large for float32 over a long trace"
    )
    distribution: str | None = option(None, "graphs that it is compared on; null for the task's first")
    pair: str | None = option(None, "the problem that a parallel and a sequential algorithm solve, this being one")
    kind: Literal["parallel", "sequential"] | None = option(None, "which of the pair's it is")
    partner: str | None = option(None, "the pair's other algorithm")

    def __post_init__(self) -> None:
        given = [key for key in ("pair", "kind", "partner") if getattr(self, key) is not None]
        if len(given) not in (0, 3):
            raise ValueError(f"{self.name} has {' and '.join(given)} alone: pair, kind and partner go together")

    @property
    def starts(self) -> Sequence[str]:
        """Those of `STARTS` that it is trained from."""
        return tuple(STARTS) if self.pair is None else ("drawn",)

    @property
    def sizes(self) -> Sequence[int]:
        """Of the graphs that are measured."""
        return SIZES if self.pair is None else PAIRED

    @property
    def made_as(self) -> str:
        """The algorithm whose compiled network has its options: its own, or that of its partner.

        Raises:
            UsageError: neither can be compiled.
        """
        both = [name for name in (self.algorithm, self.partner) if name is not None]
        made = next((name for name in both if _compiles(name, self.processor)), None)
        if made is None:
            problem = f"{self.name}: {' and '.join(both)} cannot be written into {self.processor}"
            raise UsageError(problem, "`zoo compile --list` shows what can be compiled")
        return made

    def recipe(self, start: str) -> list[str]:
        """What sets a training apart, beside the options of the compiled network."""
        steps = [f"trainer.max_steps={self.steps}"] if self.steps else []
        drawn = [f"trainer.precision={self.precision}"] if "compiled=null" in STARTS[start] else []
        return [f"processor={self.processor}", f"task={self.algorithm}", *self.words, *steps, *STARTS[start], *drawn]

    def command_line(self, start: str, seed: int) -> list[str]:
        """The words of `zoo train`."""
        made = compiled_words(self.made_as, self.processor)
        if self.made_as != self.algorithm:  # not weights and task
            made = [word for word in made if not word.startswith(("task", "compiled=", "bind."))]
        return [*made, *self.recipe(start), f"seed={seed}", f"name={self.name}-{start}-s{seed}"]

    @property
    def reference(self) -> str | None:
        """What it is compared with; None where it cannot be compiled."""
        compiles = _compiles(self.algorithm, self.processor)
        return f"{self.processor}.compiled-{self.algorithm}" if compiles else None


class Pair(NamedTuple):
    """A parallel and a sequential algorithm for one problem.

    Attributes:
        name: of the problem.
        parallel: the one.
        sequential: the other.
    """

    name: str
    parallel: Network
    sequential: Network


def networks(path: Path = STUDY) -> list[Network]:
    """What `configs/gap.yaml` lists.

    Raises:
        UsageError: an entry is not as `Network` says, or a pair is not one.
    """
    every = [schema.check(Network, entry, path=f"gap[{place}]") for place, entry in enumerate(read_list(path))]
    pairs(every)
    return every


def pairs(every: Sequence[Network]) -> list[Pair]:
    """The pairs among some networks.

    Raises:
        UsageError: one has not two members that name one another, or they are trained differently.
    """
    found = []
    for name in dict.fromkeys(network.pair for network in every if network.pair is not None):
        members = {network.kind: network for network in every if network.pair == name}
        one, other = members.get("parallel"), members.get("sequential")
        if one is None or other is None or sum(network.pair == name for network in every) != 2:
            raise UsageError(f"gap: pair {name} is not of two", "give it one parallel and one sequential algorithm")
        if (one.partner, other.partner) != (other.algorithm, one.algorithm):
            raise UsageError(f"gap: {one.name} and {other.name} do not name one another", "partner is an algorithm")
        trained = [(each.processor, each.words, each.steps, each.precision) for each in (one, other)]
        if trained[0] != trained[1]:
            raise UsageError(f"gap: {one.name} and {other.name} are trained differently", "give them equal words")
        found.append(Pair(name, one, other))
    return found


def _compiles(algorithm: str, processor: str) -> bool:
    """Whether the algorithm can be written into the processor."""
    return algorithm in list_algorithms() and processor in processors(algorithm)


def path_of(network: Network, start: str, seed: int, results: Path = ledger.RESULTS) -> Path:
    """The file of a record."""
    return results / RECORDS / network.name / f"{start}-s{seed}.json"


def record_of(network: Network, start: str, seed: int, results: Path = ledger.RESULTS) -> dict[str, Any] | None:
    """What was measured by the recipe and against the reference of now; None where nothing was."""
    found = runs.read_json(path_of(network, start, seed, results))
    if not isinstance(found, dict) or found.get("recipe") != network.recipe(start):
        return None
    return found if (found["compiled"] or {}).get("name") == network.reference else None


def measure(
    network: Network, start: str, seed: int, *, runs_dir: str, results: Path = ledger.RESULTS, more: Sequence[str] = ()
) -> Path:
    """Train one network, or go on with it, and write its record; of one that stops by itself, where and why.

    Args:
        network: which.
        start: of `STARTS`.
        seed: of weights, samples and noise.
        runs_dir: folder for the runs.
        results: the ledger's folder.
        more: words about where and how fast it trains, which are not part of the recipe.

    Returns:
        The record's file.
    """
    folder = Path(runs_dir) / f"{network.name}-{start}-s{seed}"
    config = compose([*network.command_line(start, seed), f"runs_dir={runs_dir}", f"run_dir={folder}", *more])
    path = path_of(network, start, seed, results)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"network": network.name, "start": start, "seed": seed, "recipe": network.recipe(start)}
    try:
        summary = run(config, folder).summary
    except NonFiniteError as error:
        stopped = {"step": error.step, "term": error.term}
        reference = network.reference and {"name": network.reference}
        runs.write_json(path, about | {"stopped": stopped, **_made_by(_environment(folder)), "compiled": reference})
        return path
    environment = _environment(folder)
    cost = {"updates": summary["step"], "cpu_seconds": summary["cpu_seconds"], "threads": environment.get("threads")}
    found = {"graphs_seed" if key == "seed" else key: value for key, value in _gap(network, str(folder)).items()}
    record = about | {"best_step": summary.get("val/step"), "cost": cost, **_made_by(environment), **found}
    runs.write_json(path, ledger.shortened(record))
    return path


def _environment(folder: Path) -> dict[str, Any]:
    """What a run wrote of where it ran."""
    return runs.read_json(folder / runs.ENVIRONMENT) or {}


def _made_by(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What a record keeps of it."""
    return {key: environment.get(key) for key in ("commit", "dirty", "versions", "device")}


def _gap(network: Network, folder: str) -> dict[str, Any]:
    """See `trainers.gap.measure.measure`."""
    if network.reference is not None:
        of, distribution = network.reference, network.distribution
        return measure_gap(folder, of, sizes=network.sizes, graphs=GRAPHS, distribution=distribution).record
    learned = load_network(folder)
    task = learned.tasks[network.algorithm]
    kind = network.distribution or task.distributions[0]
    return measure_sides(learned, None, task, sizes=network.sizes, graphs=GRAPHS, distribution=kind)


def listing(results: Path = ledger.RESULTS) -> str:
    """Every network with its starts, and which seeds are measured."""
    lines = []
    for network in networks():
        paired = f", {network.kind} beside {network.partner}" if network.pair is not None else ""
        lines.append(f"{network.name}{paired}, about {network.minutes:g} minutes a seed from drawn weights")
        for start in network.starts:
            done = [seed for seed in range(SEEDS) if record_of(network, start, seed, results) is not None]
            told = f"seeds {', '.join(map(str, done))}" if done else "not measured"
            lines.append(f"  --start {start:<10} {told}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and measure, or list."""
    parser = argparse.ArgumentParser(description="Train networks that are compared with compiled ones.")
    parser.add_argument("name", nargs="?", help="of configs/gap.yaml")
    parser.add_argument("--start", choices=tuple(STARTS), default="drawn", help="where training starts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs-dir", default="runs/gap", help="folder for the runs")
    parser.add_argument("--list", action="store_true", help="show what is measured")
    options = parser.parse_args(arguments)
    if options.list or options.name is None:
        print(listing())
        return 0
    by_name = {network.name: network for network in networks()}
    try:
        if options.name not in by_name:
            raise unknown("network", options.name, by_name)
        if options.start not in by_name[options.name].starts:
            starts = ", ".join(by_name[options.name].starts)
            raise UsageError(f"--start {options.start}: {options.name} is of a pair", f"pairs start from: {starts}")
        print(measure(by_name[options.name], options.start, options.seed, runs_dir=options.runs_dir))
    except UsageError as error:
        print(error.lines, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
