"""Configs of runs: Hydra's groups and override grammar over typed schemas, with errors of our own.

A group's choices are the YAML files of `configs/GROUP/` and, for processors and tasks, whatever is registered besides.
Values are laid over each other in this order: a schema's defaults, the chosen YAML file, what the task asks for in its
`training` block, the command line. A file that the command line chose by name goes over the `training` block, and
overlays, a protocol (the way in which a paper trains) and a curriculum, over both. A file of `configs/task/` that lists
`tasks` stands for them all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from trainers import memory_group, schema
from trainers.config_groups import FOLDER, choices, entry_of, file_values, read_yaml, registry_name, schema_of
from trainers.run_config import (
    RESERVED,
    Config,
    ControlConfig,
    LoggerConfig,
    MemoryChoice,
    ProcessorChoice,
    Settings,
    TaskChoice,
)
from trainers.task_sets import joint_name, members
from trainers.trainer_config import TrainerConfig, is_file
from trainers.usage import UsageError, unknown

GROUPS = ("processor", "memory", "task", "reasoner", "trainer", "logger")
OVERLAYS = ("protocol", "curriculum")
"""Groups whose files hold values for the others, the later over the earlier."""
_PRIMARY = "zoo_train"


def from_tree(tree: Any) -> Config:
    """Check plain data against the schemas.

    Args:
        tree: as `Config.tree` gives it.

    Returns:
        The typed config.

    Raises:
        UsageError: an unknown name or key, or a wrong value.
    """
    tree = dict(tree)
    groups = {name: tree.pop(name, {}) for name in GROUPS}
    processor = dict(groups["processor"])
    choice = {key: processor.pop(key) for key in RESERVED if key in processor}
    chosen = schema.check(ProcessorChoice, choice, path="processor")
    entry = entry_of("processor", chosen.name)
    options: Any = schema.check(entry.config, processor, path="processor", remedy=_explain("processor", entry.name))
    return Config(
        processor=dataclasses.replace(chosen, options=options),
        tasks=_task_choices(dict(groups["task"])),
        reasoner=schema.check(schema_of("reasoner"), groups["reasoner"], path="reasoner"),
        trainer=schema.check(TrainerConfig, groups["trainer"], path="trainer"),
        logger=schema.check(LoggerConfig, groups["logger"], path="logger"),
        settings=_settings(tree),
        memory=memory_group.check(groups["memory"]),
    )


def compose(overrides: Sequence[str]) -> Config:
    """The config that a command line asks for.

    Args:
        overrides: in Hydra's grammar: `processor=ntm`, `task=[bfs,bellman_ford]`, `trainer.max_steps=200`.

    Returns:
        The typed config.

    Raises:
        UsageError: what is wrong with them.
    """
    from trainers.overrides import parse

    primary = read_yaml(FOLDER / "config.yaml")
    names: dict[str, Any] = {}
    for default in primary["defaults"]:
        if isinstance(default, Mapping):
            names.update(default)
    asked: dict[str, str] = {}
    explicit = set()
    overlays: dict[str, Mapping[str, Any]] = {}
    for override in parse(overrides):
        if override.key in OVERLAYS:
            overlays[override.key] = file_values(override.key, _choice(override.key, override.value))
        elif override.key in GROUPS:
            names[override.key] = _choice(override.key, override.value)
            explicit.add(override.key)
        else:
            asked[override.key] = override.text
    nodes, layout_is_free = _nodes(names, explicit, _overlaid(overlays))
    schemas = _schemas(nodes)
    for key in asked:
        _check_key(key, schemas)
    data = asked.get("trainer.data", str(nodes["trainer"]["data"])).strip("'\"")
    if is_file(data):
        from trainers.fixed_sets import settings

        several = isinstance(names["task"], list)
        chosen = names["task"] if several else [registry_name("task", names["task"])]
        nodes["trainer"] |= settings(data, chosen)
    width = memory_group.followed(asked, nodes, _node("memory", names["memory"], base=False))
    tree = _hydra_compose(primary, nodes, names, asked | ({"memory.hidden_size": width} if width else {}))
    config = from_tree(tree)
    if layout_is_free and "trainer.layout" not in asked:
        config = _settle_layout(config)
    return config


def override(config: Config, overrides: Sequence[str]) -> Config:
    """An existing run's config with some values changed; its groups' choices stay.

    Raises:
        UsageError: a choice of a group, an unknown key, a wrong value.
    """
    from omegaconf import OmegaConf

    from trainers.overrides import parse

    tree = config.tree()
    schemas = _schemas(tree)
    node = OmegaConf.create(tree)
    for asked in parse(overrides):
        if asked.key in (*GROUPS, *OVERLAYS):
            problem = f"{asked.key}={asked.value} cannot change in a run that exists"
            raise UsageError(problem, f"start a new run: zoo train {asked.key}={asked.value}")
        _check_key(asked.key, schemas)
        OmegaConf.update(node, asked.key, asked.value, force_add=True)
    return from_tree(OmegaConf.to_container(node))


def _settings(tree: Mapping[str, Any]) -> Settings:
    """The top-level values."""
    fields = [f.name for f in dataclasses.fields(Settings)]
    for key in tree:
        if key not in fields:
            raise unknown("key", key, [*GROUPS, *fields])
    values = dict(tree)
    values["control"] = schema.check(ControlConfig, values.get("control") or {}, path="control")
    try:
        return schema.check(Settings, values, path="")
    except UsageError as error:
        raise UsageError(error.problem.lstrip("."), error.remedy) from None


def _task_choices(node: dict[str, Any]) -> tuple[TaskChoice, ...]:
    """The tasks of a `task` node, one or several."""
    name = node.pop("name", "bfs")
    several = isinstance(name, list)
    names = name if several else [name]
    if several:
        for key in node:
            if key not in names:
                raise unknown("key", f"task.{key}", [f"task.{each}" for each in names])
    chosen = []
    for each in names:
        options, path = (node.get(each, {}), f"task.{each}") if several else (node, "task")
        config = entry_of("task", each).config
        checked: Any = schema.check(config, options, path=path, remedy=_explain("task", each))
        chosen.append(TaskChoice(name=each, options=checked))
    return tuple(chosen)


def _explain(kind: str, name: str) -> str:
    """Where options are explained."""
    return f"`zoo show {kind} {name}` explains its options"


def _choice(group: str, value: Any) -> Any:
    """A group's choice from the command line, its names checked and sets of tasks written out."""
    given = value if group == "task" and isinstance(value, list) else [value]
    for name in given:
        if not isinstance(name, str) or name not in choices(group):
            raise unknown(group, str(name), choices(group))
    names = [each for name in given for each in (members(name) if group == "task" else [name])]
    if len(set(names)) < max(len(names), 1):
        raise UsageError(f"task={given} names no task, or one twice", f"choices: {', '.join(choices(group))}")
    return names[0] if len(names) == 1 else names


def _overlaid(overlays: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The values of the chosen overlays by group; a protocol has a control of its own, or none."""
    merged: dict[str, dict[str, Any]] = {"control": {}} if "protocol" in overlays else {}
    for name in OVERLAYS:
        for group, values in overlays.get(name, {}).items():
            merged[group] = merged.get(group, {}) | dict(values)
    return merged


def _nodes(
    names: Mapping[str, Any], explicit: set[str], overlay: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], bool]:
    """Every group's values before the command line's, and whether the layout is but the task's preference."""
    tasks = names["task"] if isinstance(names["task"], list) else [names["task"]]
    options, training = {}, []
    for name in tasks:
        node = _node("task", name)
        training.append(node.pop("training", {}))
        options[name] = node | {key: value for key, value in overlay.get("task", {}).items() if key in node}
    asks = training[0] if len(tasks) == 1 else _common(training)
    nodes: dict[str, dict[str, Any]] = {}
    for group in ("processor", "memory", "reasoner", "trainer", "logger"):
        base, file = _node(group, names[group], file=False), _node(group, names[group], base=False)
        wanted, over = asks.get(group, {}), overlay.get(group, {})
        if group == "processor":
            wanted, over = ({key: value for key, value in asked.items() if key in base} for asked in (wanted, over))
        layers = (wanted, file) if group in explicit and group != "processor" else (file, wanted)
        nodes[group] = base | layers[0] | layers[1] | over
    nodes["settings"] = {"control": overlay.get("control", asks.get("control", {}))}
    if len(tasks) == 1:
        nodes["task"] = options[tasks[0]]
    else:
        nodes["task"] = {"name": tasks} | {
            name: {key: value for key, value in node.items() if key != "name"} for name, node in options.items()
        }
    return nodes, any("layout" in asked.get("trainer", {}) for asked in (asks, overlay))


def _common(training: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What several tasks ask for alike, and for lists of names what all of them have."""
    common: dict[str, Any] = {}
    for group in set.intersection(*(set(each) for each in training)):
        blocks = [each[group] for each in training]
        agreed = {}
        for key in set.intersection(*(set(block) for block in blocks)):
            values = [block[key] for block in blocks]
            if all(value == values[0] for value in values):
                agreed[key] = values[0]
            elif all(isinstance(value, list) for value in values):
                agreed[key] = [item for item in values[0] if all(item in value for value in values)]
        common[group] = agreed
    return common


def _node(group: str, name: str, *, base: bool = True, file: bool = True) -> dict[str, Any]:
    """A choice's values: its schema's defaults, its YAML file's, or both."""
    # A cell is the same beside a processor as in the place of one.
    values = file_values("processor" if group == "memory" and name != memory_group.NONE else group, name)
    node: dict[str, Any] = {}
    if group in ("processor", "task") or (group == "memory" and name != memory_group.NONE):
        entry = entry_of(group, values.get("name", name))
        values = {"name": entry.name, **values}
        if base:
            node = schema.defaults(entry.config)
            if group == "processor":
                if taken := set(node) & set(RESERVED):
                    raise ValueError(f"{entry.config.__name__} must not have a field {taken.pop()!r}: it is taken")
                node = {"name": entry.name, "weights": None, "frozen": False, **node}
    elif base and group != "memory":
        node = schema.defaults(schema_of(group))
    return node | values if file else node


def _schemas(nodes: Mapping[str, Any]) -> dict[str, list[type]]:
    """The dataclasses whose fields stand under each group."""
    task = nodes["task"]
    several = isinstance(task["name"], list)
    memory = nodes.get("memory", {}).get("name")
    found: dict[str, list[type]] = {
        "processor": [ProcessorChoice, entry_of("processor", nodes["processor"]["name"]).config],
        "memory": [MemoryChoice, *([] if memory is None else [memory_group.entry(memory).config])],
        **{name: [schema_of(name)] for name in ("reasoner", "trainer", "logger")},
    }
    if several:
        return found | {f"task.{name}": [entry_of("task", name).config] for name in task["name"]}
    return found | {"task": [TaskChoice, entry_of("task", task["name"]).config]}


def _check_key(key: str, schemas: Mapping[str, Sequence[type]]) -> None:
    """Refuse an override's key that leads nowhere."""
    for prefix, kinds in schemas.items():
        if key.startswith(f"{prefix}."):
            path = key[len(prefix) + 1 :].split(".")
            fields = {f.name: kind for kind in kinds for f in dataclasses.fields(kind) if f.name != "options"}
            if path[0] == "name" or path[0] not in fields:
                raise unknown("key", f"{prefix}.{path[0]}", [name for name in fields if name != "name"])
            schema.known_path(fields[path[0]], path, prefix)
            return
    top = key.split(".")
    if top[0] == "task":
        raise unknown("key", ".".join(top[:2]), [prefix.partition(".")[2] for prefix in schemas if "." in prefix])
    if top[0] not in {f.name for f in dataclasses.fields(Settings)}:
        raise unknown("key", top[0], [*GROUPS, *OVERLAYS, *(f.name for f in dataclasses.fields(Settings))])
    schema.known_path(Settings, top, "")


def _hydra_compose(
    primary: Mapping[str, Any], nodes: Mapping[str, Any], names: Mapping[str, Any], asked: Mapping[str, str]
) -> Any:
    """Lay the command line's values over the groups' with Hydra."""
    from hydra import compose as hydra_compose
    from hydra import initialize
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    store = ConfigStore.instance()
    defaults: list[Any] = []
    for group in GROUPS:
        name = joint_name(names[group]) if isinstance(names[group], list) else names[group]
        store.store(group=group, name=name, node=OmegaConf.create(nodes[group]))
        defaults.append({group: name})
    top = schema.defaults(Settings) | {key: value for key, value in primary.items() if key != "defaults"}
    top["control"] = top["control"] | nodes["settings"]["control"]
    store.store(name=_PRIMARY, node=OmegaConf.create({"defaults": [*defaults, "_self_"], **top}))
    try:
        GlobalHydra.instance().clear()
        with initialize(version_base="1.3", config_path=None):
            # `++`: the keys are known to be right, and a mapping's own keys need not exist yet.
            composed = hydra_compose(_PRIMARY, overrides=[f"++{key}={text}" for key, text in asked.items()])
        return OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError.of(error, remedy=f"overrides: {' '.join(f'{k}={v}' for k, v in asked.items())}") from error


def _settle_layout(config: Config) -> Config:
    """The config in the dense layout where the task's preferred one does not go with the processor."""
    import tasks
    from zoo.binding import check

    processor = entry_of("processor", config.processor.name).cls(config.processor.options)
    try:
        for choice in config.tasks:
            task = tasks.describe(choice.name).cls(choice.options)
            check(task.spec, processor, layout=config.trainer.layout)
            if config.trainer.layout not in task.layouts:
                raise ValueError(f"{choice.name} has no {config.trainer.layout} layout")
    except ValueError:
        return dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, layout="dense"))
    return config
