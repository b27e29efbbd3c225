"""What `zoo list` and `zoo show` print. Names and summaries come from YAML files; the rest loads torch on demand."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import configs
from trainers.usage import unknown

if TYPE_CHECKING:
    from tasks.registry import Entry
    from tasks.spec import Spec

KINDS = {"processor": "processors", "task": "tasks"}
_WIDTH = 100


def summaries(kind: str, *, registered: bool) -> dict[str, str]:
    """Names of a kind and a line about each.

    Args:
        kind: `"processor"` or `"task"`.
        registered: whether to ask the registry too, which loads torch; a user's own module fills it.

    Returns:
        Summaries by name, sorted.
    """
    found = {}
    for path in (Path(configs.__file__).parent / kind).glob("*.yaml"):
        with path.open(encoding="utf-8") as lines:
            first = lines.readline().strip()
        found[path.stem] = first.removeprefix("#").strip() if first.startswith("#") else ""
    if registered:
        for name in _registry(kind).names():
            found.setdefault(name, _registry(kind).entry(name).summary)
    return dict(sorted(found.items()))


def list_names(kinds: Iterable[str], *, registered: bool) -> str:
    """A block for each kind: names and summaries."""
    blocks = []
    for kind in kinds:
        rows = summaries(kind, registered=registered)
        width = max(map(len, rows), default=0)
        lines = [f"  {name:<{width}}  {summary}".rstrip() for name, summary in rows.items()]
        blocks.append("\n".join([KINDS[kind], *lines]))
    return "\n\n".join(blocks)


def matrix() -> str:
    """Which processor fits which task, in which layouts, from declared capabilities; refusals and bindings below."""
    import tasks
    import zoo

    processors = {name: zoo.create(name, hidden_size=8) for name in zoo.list_processors()}
    made = {name: tasks.create(name) for name in tasks.list_tasks(ready=True)}
    cells: dict[tuple[str, str], str] = {}
    notes: dict[str, list[str]] = {"refused": [], "predicted by the processor itself": []}
    for processor_name, processor in processors.items():
        for task_name, task in made.items():
            layouts, reasons = _fits(processor, task)
            cells[processor_name, task_name] = "+".join(layouts) or "-"
            pair = f"{processor_name} on {task_name}"
            notes["refused"] += [f"{pair}: {reason}" for reason in reasons]
            bound = ", ".join(f"{head} = {probe}" for head, probe in _bindings(processor, task.spec).items())
            if layouts and bound:
                notes["predicted by the processor itself"].append(f"{pair}: {bound}")
    header = ["", *made]
    rows = [
        [f"{name}{'*' if processor.ordered else ''}", *(cells[name, task] for task in made)]
        for name, processor in processors.items()
    ]
    lines = [_columns([header, *rows])]
    lines.append("\ndense, sparse: layouts that fit   - none   * reads nodes in order, so positions are left out")
    for title, entries in notes.items():
        if entries:
            lines += [f"\n{title}", *(f"  {entry}" for entry in entries)]
    return "\n".join(lines)


def show(kind: str, name: str) -> str:
    """Everything about one processor or task.

    Raises:
        UsageError: no such kind or name.
    """
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    files = summaries(kind, registered=True)
    if name not in files:
        raise unknown(kind, name, files)
    from trainers.config_groups import registry_name
    from trainers.task_sets import members

    if kind == "task" and members(name) != [name]:
        return "\n".join([f"task {name}", "", files[name], "", *(f"  {each}" for each in members(name))])
    entry = _registry(kind).entry(registry_name(kind, name))
    about = [f"{kind} {name}", "", inspect.cleandoc(entry.cls.__doc__ or files[name])]
    if kind == "processor":
        about += ["", *_capabilities(entry, name)]
    else:
        about += ["", *_probes(entry)]
    about += ["", f"options (as in {kind}.NAME=VALUE)", _options(entry, name)]
    if entry.paper:
        cited = str(entry.year) in entry.paper
        about += ["", f"paper: {entry.paper}" + ("" if cited or not entry.year else f", {entry.year}")]
    if entry.bibtex:
        about += ["", entry.bibtex]
    return "\n".join(about)


def _registry(kind: str) -> Any:
    """The filled registry of a kind."""
    if kind == "processor":
        import zoo.registry

        return zoo.registry.registry
    import tasks
    from tasks.registry import registry

    tasks.list_tasks()
    return registry


def _fits(processor: Any, task: Any) -> tuple[list[str], list[str]]:
    """Layouts in which a pair builds, and why the others are refused."""
    from zoo import Reasoner
    from zoo.binding import check

    try:
        Reasoner(task.spec, processor)
    except ValueError as error:
        return [], [str(error)]
    layouts, reasons = [], []
    for layout in sorted(task.layouts):
        try:
            check(task.spec, processor, layout=layout)
            layouts.append(layout)
        except ValueError as error:
            reasons.append(str(error))
    return layouts, reasons


def _bindings(processor: Any, spec: Spec) -> Mapping[str, str]:
    """Probes that the processor's heads stand for by default."""
    from zoo import Reasoner

    try:
        modules = Reasoner(spec, processor).tasks[spec.task]
    except ValueError:
        return {}
    heads: Mapping[str, Any] = modules.heads  # type: ignore[assignment]
    return {head: probe.name for head, probe in heads.items()}


def _capabilities(entry: Entry, choice: str) -> list[str]:
    """What a processor declares, line by line; of its default config."""
    from zoo.memory import Sweep

    processor = entry.cls(entry.config())
    ports = {
        "asks for": {name: f"{port.location} {port.type}" for name, port in processor.asks.items()},
        "predicts itself": {name: f"{port.location} {port.type}" for name, port in processor.heads.items()},
    }
    count = sum(parameter.numel() for parameter in processor.parameters())
    lines = [
        f"layouts: {', '.join(sorted(processor.layouts))}",
        f"edges that carry messages: {processor.adjacency}",
        f"writes: {', '.join(sorted(processor.writes))}",
        f"reads nodes in order: {_yes(processor.ordered)}",
        f"memory besides the hidden latents: {_yes(not processor.memoryless)}",
        f"torch.compile takes a step whole: {_yes(processor.compiles)}",
        f"samples of a batch are independent: {_yes(processor.batch_independent)}",
        f"parameters by default: {count:,}",
    ]
    if isinstance(processor, Sweep):
        lines.append(f"beside another processor, as a memory of the whole graph: memory={choice}")
    for title, named in ports.items():
        if named:
            lines.append(f"{title}: {', '.join(f'{name} ({what})' for name, what in named.items())}")
    return lines


def _probes(entry: Entry) -> list[str]:
    """A task's probes as a table, and what it can sample."""
    if entry.needs:
        return [f"probes follow from {entry.needs}: zoo sample {entry.name} {entry.needs}=… --show"]
    task = entry.cls(entry.config())
    rows = [["probe", "stage", "location", "type", "notes"]]
    for probe in task.spec:
        notes = [
            f"{probe.classes} classes" if probe.classes else "",
            f"{probe.channels} channels" if probe.channels > 1 else "",
            f"points to {probe.domain}" if probe.is_pointer else "",
            "one value a step" if probe.streamed else "",
            "position" if probe.positional else "",
            f"{probe.echoes} of the step before" if probe.echoes else "",
        ]
        rows.append(
            [probe.name, str(probe.stage), str(probe.location), str(probe.type), ", ".join(filter(None, notes))]
        )
    return [
        _columns(rows),
        "",
        f"smallest size: {task.min_size}",
        f"layouts: {', '.join(sorted(task.layouts))}",
        f"distributions: {', '.join(task.distributions)} (the first is the default)",
    ]


def _options(entry: Entry, choice: str) -> str:
    """Config fields with defaults and meanings; a default that the YAML file changes is that of the file."""
    from trainers import schema
    from trainers.config_groups import file_values

    kind = "task" if hasattr(entry.cls, "distributions") else "processor"
    values = schema.defaults(entry.config) | file_values(kind, choice)
    meanings = schema.meanings(entry.config)
    names = {name: f"{name} = {_literal(values[name])}" for name in meanings}
    width = max(map(len, names.values()), default=0)
    lines = []
    for name, meaning in meanings.items():
        wrapped = textwrap.wrap(meaning, max(_WIDTH - width - 4, 30)) or [""]
        lines.append(f"  {names[name]:<{width}}  {wrapped[0]}".rstrip())
        lines += [f"  {'':<{width}}  {line}" for line in wrapped[1:]]
    return "\n".join(lines) or "  none"


def _literal(value: Any) -> str:
    """A value as one writes it on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _yes(value: bool) -> str:
    """Yes or no."""
    return "yes" if value else "no"


def _columns(rows: list[list[str]]) -> str:
    """Rows in aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
