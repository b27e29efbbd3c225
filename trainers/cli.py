"""The `zoo` command. Neither `--help` nor `list` imports torch; subcommands import what they need when they run."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from trainers.gap import arguments as gap
from trainers.usage import EXIT_CODE, UsageError, unknown

_EXAMPLES = """\
examples:
  zoo train                                         message passing on breadth-first search
  zoo train processor=ntm task=copy                 any processor, any task, by name
  zoo train -m processor=mpnn,pgn,ntm seed=0,1,2    several runs, compared at the end
  zoo train resume=latest                           go on with an interrupted run
  zoo --load mine.py train processor=mine           a processor of your own
  zoo eval latest --sizes 16 64 256
  zoo inspect latest --size 16                      what the model does on one sample, drawn
  zoo reproduce ntm.graves2014-copy                 a published result, obtained again
  zoo sample bfs --show                             one trajectory, step by step
  zoo show processor ntm
  zoo compile bfs --processor mpnn                  an algorithm as weights, without training
  zoo gap latest mpnn.compiled-bfs                  what training found, beside such weights
"""
_OVERRIDES = """\
overrides are Hydra's: GROUP=NAME for processor, memory, task, reasoner, trainer, logger; KEY=VALUE for the rest:
  processor=dnc task=bfs trainer.max_steps=200 trainer.sizes=[4,8,16] seed=3
  processor=mpnn memory=ntm memory.slots=16         a cell beside a processor, as a memory of the whole graph
  task=[bfs,bellman_ford]                           several tasks over one shared processor
  processor.weights=RUN processor.frozen=true       a trained processor under new encoders and decoders
  logger=none, logger.mode=online                   no W&B; W&B with upload
with -m also sweep=NAME, a grid of configs/sweep, and hydra/launcher=ray, several runs side by side
"""

_EVAL = """\
examples:
  zoo eval latest --sizes 16 64 256
  zoo eval mpnn.velickovic2022-bfs --sizes 32       shipped weights, see zoo reproduce --list
  zoo eval mpnn.compiled-binary_search              an algorithm as weights, see zoo compile --list
a run of the name comes before shipped and compiled weights
"""
_REPRODUCE = """\
examples:
  zoo reproduce --list                              every baseline with its state and cost
  zoo reproduce ntm.graves2014-copy                 train what is not measured yet, compare, record
  zoo reproduce --all --device cpu --budget 60      what fits into an hour
  zoo reproduce ntm.graves2014-copy --pretrained    score the shipped weights
words may say where and how fast it trains, not what it learns: logger=none, trainer.threads=1, hydra/launcher=ray …
"""

_SAMPLE = """\
examples:
  zoo sample bfs --show                                      one trajectory, step by step
  zoo sample insertion_sort --size 8 --draw sort.gif         the same, drawn
  zoo sample bfs --size 4 7 16 --count 10000 --out bfs.npz   a data set: zoo train task=bfs trainer.data=bfs.npz
KEY=VALUE words are the task's options, as under task.… of `zoo train`, with the same defaults: random_pos=false
"""


class _Parser(argparse.ArgumentParser):
    """argparse, with mistakes told as everywhere else."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise UsageError(message, f"usage: {self.format_usage().removeprefix('usage: ')}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: words of the command line; those of the process by default.

    Returns:
        The exit code: 0, 2 after a mistake of the user's, told in two lines, or 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parse(words)
        if options.load:
            from trainers.loading import load

            for path in options.load:
                load(path)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            return int(options.run(options) or 0)
    except UsageError as error:
        if _is_first():
            print(error.lines, file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:  # training notes it and saves its state; everything else just ends
        if _is_first():
            print("zoo: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of `zoo list | head` has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        if _is_first():
            print(UsageError(f"{error.filename}: {error.strerror}", "choose another place").lines, file=sys.stderr)
        return EXIT_CODE


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """All subcommands and their options."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="zoo",
        description="Neural algorithmic reasoning and memory-augmented networks: any processor on any task.",
        epilog=_EXAMPLES,
        formatter_class=raw,
        allow_abbrev=False,
    )
    parser.add_argument("--load", action="append", metavar="FILE.py", help="import a file that registers your own")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)

    def add(name: str, run: Callable[[argparse.Namespace], int | None], summary: str, **more: Any) -> _Parser:
        command = commands.add_parser(
            name, help=summary, description=summary, formatter_class=raw, allow_abbrev=False, **more
        )
        command.set_defaults(run=run)
        return command

    train = add("train", _train, "train, score and plot", epilog=_OVERRIDES)
    train.add_argument("-m", "--multirun", action="store_true", help="run every combination of comma-separated values")
    train.add_argument("--resume", metavar="RUN", help="go on with an interrupted run: a folder, a name or latest")
    train.add_argument("overrides", nargs="*", metavar="KEY=VALUE")

    evaluate = add("eval", _eval, "score a network: a run's best weights, shipped or compiled ones", epilog=_EVAL)
    evaluate.add_argument("network", metavar="NETWORK", help=gap.NETWORK)
    evaluate.add_argument("--sizes", type=int, nargs="+", help="sizes; by default the run's, row's or compiler's own")
    evaluate.add_argument("--distributions", nargs="+", help="input distributions; likewise")
    evaluate.add_argument("--samples", type=int, help="graphs a cell")
    evaluate.add_argument("--seed", type=int, help="of the held-out samples")
    evaluate.add_argument("--device", choices=("auto", "cpu", "cuda"), help="where; the run's own by default")
    evaluate.add_argument("--runs-dir", default="runs", help="folder that holds the runs")

    compiling = add("compile", _compile, "an algorithm written into a processor's weights, then scored like a run")
    compiling.add_argument("algorithm", metavar="ALGORITHM", nargs="?", help="see --list")
    compiling.add_argument("--processor", default="mpnn", metavar="NAME", help="to write it into; mpnn by default")
    compiling.add_argument("--list", action="store_true", help="the algorithms, and the processors of each")
    compiling.add_argument("--runs-dir", default="runs", help="folder that holds the runs")
    compiling.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for `zoo train`")

    compare = add("compare", _compare, "one table and one figure of several runs: score against size")
    compare.add_argument("run_names", metavar="RUN", nargs="+", help="folders, names, latest, or a multirun's folder")
    compare.add_argument("--runs-dir", default="runs", help="folder that holds the runs")
    compare.add_argument("--output", help="folder for table and figure")
    compare.add_argument("--no-wandb", action="store_true", help="leave out the W&B table")

    gap.add_arguments(add("gap", gap.run, gap.SUMMARY))
    _add_reproduce(add)
    _add_sample(add)

    report = add("report", _report, "one self-contained HTML page of several runs: tables, charts, pictures, configs")
    report.add_argument("run_names", metavar="RUN", nargs="+", help="folders, names, latest, or a multirun's folder")
    report.add_argument("--runs-dir", default="runs", help="folder that holds the runs")
    report.add_argument("--output", metavar="FILE", help="the page; by default report.html beside the runs")
    report.add_argument("--title", help="above the page; processors and tasks by default")

    inspect = add("inspect", _inspect, "what a trained model does on one held-out sample: figures and arrays")
    inspect.add_argument("run_name", metavar="RUN", help="a folder, a name or latest")
    inspect.add_argument("--size", type=int, metavar="N", help="of the sample; the largest training size by default")
    inspect.add_argument("--seed", type=int, default=0, metavar="S", help="of the held-out stream, as in `zoo eval`")
    inspect.add_argument("--sample", type=int, default=0, metavar="K", help="number of the sample in the stream")
    inspect.add_argument("--distribution", metavar="NAME", help="of the input; the first scored one by default")
    inspect.add_argument("--task", metavar="NAME", help="which, of a run with several; its first by default")
    inspect.add_argument("--output", metavar="DIR", help="folder for PNGs and npz; by default one in RUN/inspect")
    inspect.add_argument("--runs-dir", default="runs", help="folder that holds the runs")
    inspect.add_argument("--no-wandb", action="store_true", help="leave out the W&B images")

    dashboard = add("dashboard", _dashboard, "the W&B project's workspace as code: printed, or saved online")
    dashboard.add_argument("--project", default="algorithm-zoo", help="W&B project")
    dashboard.add_argument("--entity", help="W&B user or team; the account's own by default")
    dashboard.add_argument("--save", action="store_true", help="save it online as a new view; needs an account")
    dashboard.add_argument("--output", metavar="FILE", help="write the spec there instead of printing it")
    dashboard.add_argument("--baselines", metavar="FILE.md", help="the baselines' table; docs/BASELINES.md by default")

    listing = add("list", _list, "processors and tasks")
    listing.add_argument("kind", nargs="?", help="processors or tasks; both by default")
    listing.add_argument("--matrix", action="store_true", help="what fits what, from declared capabilities")

    show = add("show", _show, "a processor's or a task's options, paper, capabilities, probes")
    show.add_argument("kind", help="processor or task")
    show.add_argument("name")
    _check_command(words, list(commands.choices))
    if not words:
        parser.set_defaults(run=lambda _: parser.print_help())
    return parser


def _add_reproduce(add: Callable[..., _Parser]) -> None:
    """`zoo reproduce` and its options."""
    reproduce = add("reproduce", _reproduce, "obtain a published result again, and record it", epilog=_REPRODUCE)
    reproduce.add_argument(
        "names", metavar="NAME", nargs="*", help="baselines, or .yaml files of your own; KEY=VALUE words as below"
    )
    reproduce.add_argument("--list", action="store_true", help="every baseline with its state, cost and arms")
    reproduce.add_argument("--all", action="store_true", help="all of them, cheapest first")
    reproduce.add_argument("--arm", help="only this arm of the baseline")
    reproduce.add_argument("--seed", type=int, help="only this seed")
    reproduce.add_argument("--again", action="store_true", help="measure once more; called again it goes on")
    reproduce.add_argument("--budget", type=float, metavar="MINUTES", help="stop after so long; call again to go on")
    reproduce.add_argument("--device", choices=("auto", "cpu", "cuda"), help="where to train")
    reproduce.add_argument("-m", "--multirun", action="store_true", help="with hydra/launcher=ray: seeds side by side")
    reproduce.add_argument("--pretrained", action="store_true", help="score the shipped weights instead of training")
    reproduce.add_argument("--ship", action="store_true", help="put weights that passed into zoo/pretrained")
    reproduce.add_argument("--runs-dir", default="runs", help="folder that holds the runs")


def _add_sample(add: Callable[..., _Parser]) -> None:
    """`zoo sample` and its options."""
    sample = add("sample", _sample, "samples of a task: printed, drawn, or written to a file", epilog=_SAMPLE)
    sample.add_argument("task", metavar="TASK", help="a task's name")
    sample.add_argument("--show", action="store_true", help="print one trajectory, step by step")
    sample.add_argument("--draw", metavar="FILE", help="draw one trajectory: an animated .gif, or a .png strip")
    sample.add_argument("--out", metavar="FILE.npz", help="write a data set, which trainer.data=FILE.npz trains on")
    sample.add_argument("--size", metavar="N", type=_number, nargs="+", help="16, or 6 for a single one; of several "
                        "sizes each sample draws its own")  # fmt: skip
    sample.add_argument("--count", metavar="COUNT", type=int, help="samples of a file; 1000 by default")
    sample.add_argument("--seed", metavar="S", type=int, default=0, help="of the stream of samples")
    sample.add_argument("--index", metavar="K", type=int, default=0, help="number of the first sample in the stream")
    sample.add_argument("--distribution", metavar="NAME", nargs="+", help="of the inputs; the task's first by default")
    sample.add_argument("--force", action="store_true", help="write over a file that exists")
    sample.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="the task's options")


def _number(word: str) -> int | str:
    """A whole number, or a `KEY=VALUE` word that stands where more numbers could."""
    return word if "=" in word else int(word)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """The options; `KEY=VALUE` words may stand anywhere after `train`, `reproduce`, `sample` and `compile`."""
    parser = _parser(words)
    options, rest = parser.parse_known_args(words)
    words_of = getattr(options, "overrides", getattr(options, "names", None))
    if words_of is None or any("=" not in word or word.startswith("-") for word in rest):
        return parser.parse_args(words) if rest else options
    words_of += rest
    return options


def _check_command(words: Sequence[str], choices: Sequence[str]) -> None:
    """Refuse an unknown subcommand, with the near matches that argparse does not give."""
    skip = False
    for word in words:
        if skip or word == "--load":
            skip = not skip
            continue
        if word.startswith("-"):
            continue
        if word not in choices:
            raise unknown("command", word, choices)
        return
    if words and not {"-h", "--help"} & set(words):
        raise UsageError("no command given", f"choices: {', '.join(sorted(choices))}")


def _train(options: argparse.Namespace) -> int:
    from trainers.command import train

    return train(options.overrides, multirun=options.multirun, resume=options.resume)


def _eval(options: argparse.Namespace) -> int:
    from trainers.command import evaluate_network

    return evaluate_network(
        options.network,
        runs_dir=options.runs_dir,
        sizes=options.sizes,
        distributions=options.distributions,
        samples=options.samples,
        seed=options.seed,
        device=options.device,
    )


def _compile(options: argparse.Namespace) -> int:
    if options.list:
        from zoo.compiled import list_algorithms, processors

        names = list_algorithms()
        width = max(map(len, names))
        for name in names:
            print(f"{name:<{width}}  {', '.join(processors(name))}")
        return 0
    if options.algorithm is None:
        raise UsageError("name an algorithm to compile", "`zoo compile --list` shows them")
    from trainers.command import compile_run

    return compile_run(options.algorithm, options.processor, options.overrides, runs_dir=options.runs_dir)


def _compare(options: argparse.Namespace) -> int:
    from trainers.command import compare_runs

    return compare_runs(
        options.run_names, runs_dir=options.runs_dir, output=options.output, use_wandb=not options.no_wandb
    )


def _reproduce(options: argparse.Namespace) -> int:
    if options.list:
        from trainers.verdict_table import listing

        print(listing())
        return 0
    names = [word for word in options.names if "=" not in word]
    words = [word for word in options.names if "=" in word]
    if bool(names) == options.all:
        raise UsageError("name the baselines to reproduce, or give --all", "`zoo reproduce --list` shows them")
    if options.ship and options.all:
        raise UsageError("--ship takes names, not --all", "`zoo reproduce --list` shows which rows passed")
    training = {
        "--arm": options.arm,
        "--seed": options.seed,
        "--budget": options.budget,
        "--again": options.again or None,
    }
    ignored = [*(name for name, value in training.items() if value is not None), *words]
    if ignored and (options.pretrained or options.ship):
        raise UsageError(f"{ignored[0]} is about training, and nothing is trained here", "leave it out")
    if options.pretrained:
        from trainers.shipping import reevaluate_all

        return reevaluate_all(names, device=options.device)
    if options.ship:
        from trainers.shipping import ship

        for name in names:
            print(ship(name))
        return 0
    from trainers import sweeps
    from trainers.reproduce import reproduce

    words, launcher = sweeps.read(words)
    return reproduce(
        names,
        arm=options.arm,
        seed=options.seed,
        again=options.again,
        budget=options.budget,
        device=options.device,
        launcher=launcher,
        words=words,
        runs_dir=options.runs_dir,
    )


def _report(options: argparse.Namespace) -> None:
    from trainers.report import write_report

    path = write_report(options.run_names, runs_dir=options.runs_dir, output=options.output, title=options.title)
    print(f"report      {path}  ({path.stat().st_size / 1e6:.1f} MB; open it in any browser)")


def _inspect(options: argparse.Namespace) -> int:
    from trainers.inspection.run import command

    return command(
        options.run_name,
        runs_dir=options.runs_dir,
        use_wandb=not options.no_wandb,
        size=options.size,
        seed=options.seed,
        sample=options.sample,
        distribution=options.distribution,
        task=options.task,
        output=options.output,
    )


def _sample(options: argparse.Namespace) -> None:
    from trainers.sample import command

    command(options)


def _dashboard(options: argparse.Namespace) -> int:
    from trainers.dashboard import dashboard

    return dashboard(
        project=options.project,
        entity=options.entity,
        save=options.save,
        output=options.output,
        baselines=options.baselines,
    )


def _list(options: argparse.Namespace) -> None:
    from trainers import listing

    kinds = {**{plural: kind for kind, plural in listing.KINDS.items()}, **{kind: kind for kind in listing.KINDS}}
    if options.kind is not None and options.kind not in kinds:
        raise unknown("kind", options.kind, listing.KINDS.values())
    if options.matrix:
        print(listing.matrix())
        return
    chosen = list(listing.KINDS) if options.kind is None else [kinds[options.kind]]
    print(listing.list_names(chosen, registered=bool(options.load)))


def _show(options: argparse.Namespace) -> None:
    from trainers.listing import show

    print(show(options.kind, options.name))


def _show_warning(message: Warning | str, category: type[Warning], *rest: Any) -> None:
    """A warning in one line."""
    if _is_first():
        print(f"zoo: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _is_first() -> bool:
    """Whether this process prints: the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


if __name__ == "__main__":
    sys.exit(main())
