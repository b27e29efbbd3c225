"""Configs: what composes, what is laid over what, and what every mistake is told."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from trainers import schema
from trainers.config import GROUPS, compose, from_tree, override
from trainers.config_groups import choices
from trainers.overrides import expand
from trainers.runs import config_hash
from trainers.usage import UsageError


@dataclasses.dataclass(frozen=True)
class Inner:
    width: int = 1


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()
    rate: float | None = None
    steps: str | int = "all"
    table: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Needy:
    width: int


def mistake(*overrides: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        compose(overrides)
    lines = caught.value.lines.split("\n")
    assert len(lines) == 2 and all(lines)
    return caught.value


def test_defaults_are_message_passing_on_bfs_with_a_control() -> None:
    config = compose([])
    assert (config.processor.name, config.task_name, config.logger.name) == ("mpnn", "bfs", "wandb")
    assert config.settings.control.steps == 2
    assert set(config.trainer.eval_distributions) == {"clrs", "sparse", "grid"}
    assert config.trainer.eval_sizes == (16, 32, 64, 128, 256)


@pytest.mark.parametrize(("group", "choice"), [(group, each) for group in GROUPS for each in choices(group)])
def test_every_choice_composes_and_survives_yaml(group: str, choice: str) -> None:
    config = compose(["task=copy"] * (choice == "raw") + [f"{group}={choice}"])
    assert from_tree(yaml.safe_load(yaml.safe_dump(config.tree()))) == config


def test_later_layers_win() -> None:
    training = compose([]).trainer
    assert training.layout == "sparse"  # the task's wish over the schema's default
    assert compose(["trainer.layout=dense"]).trainer.layout == "dense"  # the command line over the task's wish
    assert compose(["trainer.sizes=[5]", "trainer.sizes=[6]"]).trainer.sizes == (6,)


def test_a_wish_for_a_layout_gives_way_where_the_processor_lacks_it() -> None:
    assert compose(["processor.adjacency=full"]).trainer.layout == "dense"


def test_several_tasks_share_a_processor() -> None:
    config = compose(["task=[bfs,bellman_ford]", "task.bfs.random_pos=true"])
    assert config.task_name == "bfs+bellman_ford"
    assert [task.options.random_pos for task in config.tasks] == [True, False]
    assert from_tree(yaml.safe_load(yaml.safe_dump(config.tree()))) == config
    assert "task.bsf" in mistake("task=[bfs,bellman_ford]", "task.bsf.random_pos=true").problem


def test_a_set_of_tasks_stands_for_its_tasks() -> None:
    config = compose(["task=clrs30"])
    assert len(config.tasks) == 30
    assert config.task_name == "clrs30"
    assert config == compose([f"task=[{','.join(sorted(task.name for task in config.tasks))}]"])
    more = compose(["task=[copy,clrs30]", "task.dfs.random_pos=true"])
    assert (more.tasks[0].name, len(more.tasks), more.task_name) == ("copy", 31, "copy+30_more")
    assert "twice" in mistake("task=[bfs,clrs30]").problem
    assert "clrs30" in mistake("task=clrs_30").remedy


def test_a_protocol_goes_over_the_tasks_wishes_and_under_the_command_line() -> None:
    config = compose(["protocol=velickovic2022", "task=insertion_sort", "trainer.max_steps=7"])
    assert (config.trainer.data, config.trainer.sizes, config.trainer.max_steps) == ("canonical", (16,), 7)
    assert (config.reasoner.teacher_forcing, config.reasoner.feedback) == (0.5, "hard")
    assert config.settings.control.steps == 0
    config = compose(["protocol=ibarz2022", "task=[bfs,minimum]", "processor=pgn"])
    assert (config.trainer.data, config.trainer.eval_data) == ("stream", "canonical")
    assert [config.tasks[0].options.random_pos, config.tasks[1].options.pred_as_input] == [True, True]
    assert config.tasks[0].options.pointers == "nodes"
    assert config.processor.options.hidden_size == 128
    assert "ibarz2022" in mistake("protocol=ibarz").remedy
    with pytest.raises(UsageError, match="cannot change"):
        override(config, ["protocol=ibarz2022"])


def test_overrides_reach_every_group() -> None:
    words = "processor=ntm task=copy processor.slots=16 task.bits=4 trainer.lr=1e-4 reasoner.feedback=hard seed=7"
    words += " logger.tags=[a,b] trainer.penalty_weights.gate=0.5 bind.copy.modify=copied logger=none"
    config = compose(words.split())
    assert (config.processor.options.slots, config.tasks[0].options.bits) == (16, 4)
    assert (config.trainer.lr, config.trainer.penalty_weights) == (1e-4, {"gate": 0.5})
    assert (config.reasoner.feedback, config.settings.seed) == ("hard", 7)
    assert (config.logger.name, config.logger.tags) == ("none", ("a", "b"))
    assert config.settings.bind == {"copy": {"modify": "copied"}}


@pytest.mark.parametrize(
    ("wrong", "named", "near"),
    [
        ("processor=ntmm", "'ntmm'", "ntm"),
        ("task=bsf", "'bsf'", "bfs"),
        ("task=[bfs,cpoy]", "'cpoy'", "copy"),
        ("logger=wandd", "'wandd'", "wandb"),
        ("reasoner=rwa", "'rwa'", "raw"),
        ("trainer.max_step=3", "trainer.max_step", "trainer.max_steps"),
        ("processor.hiden_size=3", "processor.hiden_size", "processor.hidden_size"),
        ("task.random_poss=true", "task.random_poss", "task.random_pos"),
        ("sed=3", "'sed'", "seed"),
        ("trianer.max_steps=3", "trianer", "trainer"),
        ("control.step=3", "control.step", "control.steps"),
        ("trainer.optimizer=adm", "'adm'", "adam"),
        ("processor.aggregation=maxx", "'maxx'", "max"),
    ],
)
def test_wrong_names_and_keys_are_named_with_near_matches_and_choices(wrong: str, named: str, near: str) -> None:
    error = mistake(wrong)
    assert named in error.problem
    assert f"did you mean {near}" in error.remedy
    assert "choices: " in error.remedy


@pytest.mark.parametrize(
    ("wrong", "named", "told"),
    [
        ("trainer.max_steps=abc", "trainer.max_steps: expected int, got 'abc'", "optimiser steps"),
        ("trainer.max_steps=1.5", "trainer.max_steps: expected int, got 1.5", "default 1000"),
        ("trainer.max_steps=true", "trainer.max_steps: expected int, got True", "default 1000"),
        ("trainer.sizes=16", "trainer.sizes: expected a list of int", "[a,b]"),
        ("trainer.sizes=[4,b]", "trainer.sizes", "training sizes"),
        ("seed=null", "seed: expected int, got None", "default 0"),
        ("processor.hidden_size=0", "hidden_size must be at least 1", "zoo show processor mpnn"),
        ("processor.weights.x=3", "processor.weights.x", "no keys below"),
        ("control=3", "control", "steps"),
        ("seed=0,1", "'seed=0,1'", "zoo train -m"),
        ("seed", "'seed'", "key=value"),
        ("~trainer", "'~trainer'", "key=value"),
        ("processor@x=mpnn", "processor@x", "key=value"),
        ("task=[]", "task=[]", "choices"),
        ("task=[bfs,bfs]", "twice", "choices"),
    ],
)
def test_wrong_values_are_named_with_what_would_be_right(wrong: str, named: str, told: str) -> None:
    error = mistake(wrong)
    assert named in error.problem
    assert told in error.problem + error.remedy


def test_override_changes_values_but_no_choices() -> None:
    config = compose(["trainer.max_steps=5"])
    assert override(config, ["trainer.max_steps=9"]) == dataclasses.replace(
        config, trainer=dataclasses.replace(config.trainer, max_steps=9)
    )
    with pytest.raises(UsageError, match="cannot change"):
        override(config, ["task=copy"])
    with pytest.raises(UsageError, match=r"trainer\.max_steps"):
        override(config, ["trainer.max_step=9"])


def test_sweeps_expand_like_hydras() -> None:
    assert expand(["processor=mpnn,pgn", "seed=range(0,2)", "task=copy"]) == [
        ["processor=mpnn", "seed=0", "task=copy"],
        ["processor=mpnn", "seed=1", "task=copy"],
        ["processor=pgn", "seed=0", "task=copy"],
        ["processor=pgn", "seed=1", "task=copy"],
    ]
    assert expand(["task=[bfs,copy]"]) == [["task=[bfs,copy]"]]


def test_seeds_share_a_hash_and_settings_do_not() -> None:
    base = config_hash(compose(["task=copy"]))
    same = ["task=copy", "seed=3", "logger=none", "trainer.eval_samples=2", "runs_dir=x"]
    assert config_hash(compose(same)) == base
    for change in ("trainer.lr=0.123", "processor.hidden_size=9", "task.bits=3", "reasoner.max_steps=9"):
        assert config_hash(compose(["task=copy", change])) != base, change


def test_schema_checks_nested_types() -> None:
    values = {"inner": {"width": 2}, "rate": 1, "steps": 3, "table": {"a": [1, 2]}}
    made = schema.check(Outer, values, path="outer")
    assert made == Outer(Inner(2), 1.0, 3, {"a": (1, 2)})
    assert schema.plain(made) == {"inner": {"width": 2}, "rate": 1.0, "steps": 3, "table": {"a": [1, 2]}}
    for wrong, path in (({"inner": {"widt": 2}}, "outer.inner.widt"), ({"table": {"a": ["x"]}}, "outer.table")):
        with pytest.raises(UsageError, match=path):
            schema.check(Outer, wrong, path="outer")


def test_a_missing_field_without_default_is_named() -> None:
    with pytest.raises(UsageError, match=r"needy\.width is missing"):
        schema.check(Needy, {}, path="needy")


def test_every_option_has_a_meaning() -> None:
    import tasks
    import zoo
    from trainers.run_config import ControlConfig, LoggerConfig, Settings
    from trainers.trainer_config import TrainerConfig

    entries = [zoo.describe(name) for name in zoo.list_processors()]
    entries += [tasks.describe(name) for name in tasks.list_tasks()]
    schemas = [entry.config for entry in entries if entry.cls.__module__.startswith(("zoo.", "tasks."))]
    for one in (*schemas, zoo.ReasonerConfig, TrainerConfig, LoggerConfig, ControlConfig, Settings):
        silent = [name for name, meaning in schema.meanings(one).items() if not meaning]
        assert not silent, f"{one.__name__}: {silent}"
