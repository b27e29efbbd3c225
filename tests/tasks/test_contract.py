"""What every registered task promises, whatever it is about."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path

import pytest
import torch
import yaml

import tasks
from tasks.algorithms.array_task import OrderedConfig
from tasks.spec import Location, Stage, Type
from tests.tasks.samples import alone, assert_same, sizes_of, values

NAMES = tasks.list_tasks(ready=True)
# Four end points, or one node that reads a stream, whatever the size.
ONE_SIZE = ["graph_inference", "graph_shortest_path", "graph_traversal", "segments_intersect", "transduction"]
ONE_SAMPLE = ["counting_language"]  # a size has one word, of all but one of the languages
TWO_ROWS = ["kmp_matcher", "lcs_length", "naive_string_matcher"]
CONFIGS = Path(__file__).parent.parent.parent / "configs" / "task"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_half_batches_equal_the_whole_up_to_padding(name: str, layout: str) -> None:
    task = tasks.create(name)
    if layout not in task.layouts:
        pytest.skip("declared: dense only")
    choice = {"seed": 5, "size": sizes_of(name), "distribution": task.distributions, "layout": layout}
    whole = task.sample(index=3, batch_size=12, **choice)
    halves = [task.sample(index=3, batch_size=5, **choice), task.sample(index=8, batch_size=7, **choice)]
    assert len(set(whole.sizes.tolist())) > 1 or name in ONE_SIZE
    assert torch.equal(whole.index, torch.arange(3, 15))
    parts = [alone(half, b) for half in halves for b in range(half.batch_size)]
    for b, part in enumerate(parts):
        assert_same(alone(whole, b), part)


@pytest.mark.parametrize("name", NAMES)
def test_seed_and_index_decide_the_sample(name: str) -> None:
    task = tasks.create(name)
    first, again, other, later = (
        values(task.sample(seed=seed, index=index, size=6, batch_size=4))
        for seed, index in [(1, 0), (1, 0), (2, 0), (1, 4)]
    )
    assert_same(first, again)
    for different in (other, later) if name not in ONE_SAMPLE else ():
        assert any(
            first[key].shape != different[key].shape or not torch.equal(first[key], different[key])
            for key in first
            if key.startswith("input/")
        )
    task.sample(seed=-1, size=6, batch_size=1)
    task.sample(seed=2**70, size=6, batch_size=1)


@pytest.mark.parametrize("name", NAMES)
def test_executing_sampled_inputs_gives_the_sample(name: str) -> None:
    task = tasks.create(name)
    batch = task.sample(seed=2, size=sizes_of(name), batch_size=16, distribution=task.distributions)
    again = task.execute(batch.inputs, sizes=batch.sizes)
    assert_same(values(batch), values(again))
    assert torch.equal(batch.lengths, again.lengths)
    assert torch.equal(batch.sizes, again.sizes)


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_dtypes_follow_the_spec(name: str) -> None:
    task = tasks.create(name)
    batch = task.sample(size=sizes_of(name), batch_size=6)
    count, nodes, frames = 6, int(batch.sizes.max()), int(batch.lengths.max())
    dtypes = {
        Type.SCALAR: {torch.float32},
        Type.MASK: {torch.bool, torch.int8},
        Type.MASK_ONE: {torch.int32},
        Type.CATEGORICAL: {torch.int8, torch.int16},
        Type.POINTER: {torch.int32},
        Type.PERMUTATION_POINTER: {torch.int32},
    }
    groups = {Stage.INPUT: batch.inputs, Stage.HINT: batch.hints, Stage.OUTPUT: batch.outputs}
    assert sum(map(len, groups.values())) == len(batch.spec.probes)
    for probe in batch.spec:
        value = groups[probe.stage][probe.name]
        shape = [count]
        if probe.type is not Type.MASK_ONE:
            shape += {Location.NODE: [nodes], Location.EDGE: [nodes, nodes], Location.GRAPH: []}[probe.location]
        if probe.stage is Stage.HINT:
            shape = [frames, *shape]
        elif probe.streamed:
            shape = [frames - 1, *shape]
        shape += [probe.channels] if probe.channels > 1 else []
        assert list(value.shape) == shape, probe.name
        assert value.dtype in dtypes[probe.type], probe.name
        assert value.is_contiguous(), probe.name


@pytest.mark.parametrize("name", NAMES)
def test_padding_is_zero_and_unscored(name: str) -> None:
    task = tasks.create(name)
    batch = task.sample(size=sizes_of(name), batch_size=12)
    outside = torch.arange(int(batch.sizes.max())) >= batch.sizes[:, None]
    assert outside.any() or name in ONE_SIZE
    groups = {Stage.INPUT: batch.inputs, Stage.HINT: batch.hints, Stage.OUTPUT: batch.outputs}
    for probe in batch.spec:
        value = groups[probe.stage][probe.name]
        time_first = probe.stage is Stage.HINT or probe.streamed
        if time_first:
            ends = batch.lengths if probe.stage is Stage.HINT else batch.steps
            late = torch.arange(len(value))[:, None] >= ends
            assert not value[late].any(), f"{probe.name} past the end"
        if probe.location is Location.NODE and probe.type is not Type.MASK_ONE:
            padding = value[:, outside] if time_first else value[outside]
            unscored = value.dtype in (torch.int8, torch.int16) and probe.stage is Stage.OUTPUT
            assert (padding == (-1 if unscored else 0)).all(), probe.name
        if probe.location is Location.EDGE:
            frames = value if time_first else value[None]
            assert not frames[:, outside].any(), probe.name
            assert not frames.transpose(2, 3)[:, outside].any(), probe.name


@pytest.mark.parametrize("name", NAMES)
def test_random_positions_are_sorted_and_change_nothing_else(name: str) -> None:
    entry = tasks.describe(name)
    if "random_pos" not in {field.name for field in fields(entry.config)} or name in TWO_ROWS:
        pytest.skip("no positions, or those of two strings: see test_strings.py and test_dynamic_programming.py")
    if "pos" not in {probe.name for probe in tasks.create(name).spec.inputs}:
        pytest.skip("places of another kind: see test_range_minimum.py")
    plain = tasks.create(name).sample(size=sizes_of(name), batch_size=8)
    random = tasks.create(name, random_pos=True).sample(size=sizes_of(name), batch_size=8)
    for b, n in enumerate(plain.sizes.tolist()):
        torch.testing.assert_close(plain.inputs["pos"][b, :n], torch.arange(n) / n)
        drawn = random.inputs["pos"][b, :n]
        assert torch.equal(drawn, drawn.sort().values)
        assert ((drawn >= 0) & (drawn <= 1)).all()
        assert not torch.equal(drawn, plain.inputs["pos"][b, :n])
    rest = [{k: v for k, v in values(batch).items() if k != "input/pos"} for batch in (plain, random)]
    assert_same(*rest)


@pytest.mark.parametrize("name", [n for n in NAMES if issubclass(tasks.describe(n).config, OrderedConfig)])
def test_the_constant_order_of_the_nodes_may_be_an_input(name: str) -> None:
    hinted, given = tasks.create(name), tasks.create(name, pred_as_input=True)
    choice = {"size": sizes_of(name), "batch_size": 8, "distribution": hinted.distributions}
    batch, other = hinted.sample(**choice), given.sample(**choice)
    order = other.inputs["pred"]
    assert torch.equal(batch.hints["pred_h"][0], order)
    for b, length in enumerate(batch.lengths.tolist()):
        assert (batch.hints["pred_h"][:length, b] == order[b]).all()
    rest = [
        {key: value for key, value in values(some).items() if key not in ("hint/pred_h", "input/pred")}
        for some in (batch, other)
    ]
    assert_same(*rest)
    for inputs in (batch.inputs, other.inputs):  # without pred and with it
        assert_same(values(given.execute(inputs, sizes=batch.sizes)), values(other))
    wrong = order.clone()
    wrong[batch.sizes.argmax(), 0] = 1
    with pytest.raises(ValueError, match=r"'pred'.*predecessor in its row"):
        given.execute({**other.inputs, "pred": wrong}, sizes=other.sizes)


@pytest.mark.parametrize("name", NAMES)
def test_errors_of_sample_name_what_came_and_the_near_matches(name: str) -> None:
    task = tasks.create(name)
    with pytest.raises(ValueError, match=f"at least {task.min_size}"):
        task.sample(size=task.min_size - 1)
    with pytest.raises(ValueError, match=f"at least {task.min_size}"):
        task.sample(size=[8, task.min_size - 1])
    near_miss = task.distributions[0] + "x"
    with pytest.raises(ValueError, match=f"{near_miss}.*did you mean {task.distributions[0]}"):
        task.sample(distribution=near_miss)
    with pytest.raises(ValueError, match="dens'; did you mean dense"):
        task.sample(layout="dens")
    with pytest.raises(ValueError, match="batch_size"):
        task.sample(batch_size=0)
    if "sparse" not in task.layouts:
        with pytest.raises(ValueError, match=f"{name} has no sparse layout"):
            task.sample(layout="sparse")


@pytest.mark.parametrize("name", NAMES)
def test_errors_of_execute_name_the_input(name: str) -> None:
    task = tasks.create(name)
    inputs = dict(task.sample(size=5, batch_size=2).inputs)
    target = next(probe.name for probe in task.spec.inputs if not probe.positional and probe.name not in ("s", "adj"))
    with pytest.raises(ValueError, match=f"needs the inputs.*{target}"):
        task.execute({key: value for key, value in inputs.items() if key != target})
    with pytest.raises(ValueError, match=f"no input '{target}s'; did you mean .*{target}"):
        task.execute({**inputs, f"{target}s": inputs[target]})
    with pytest.raises(ValueError, match=f"'{target}'.*finite numbers.*NaN"):
        task.execute({**inputs, target: torch.full(inputs[target].shape, float("nan"))})
    with pytest.raises(ValueError, match=f"'{target}'.*shape"):
        task.execute({**inputs, target: inputs[target][0, 0]})
    with pytest.raises(ValueError, match=f"'{target}'.*numbers.*dtype"):
        task.execute({**inputs, target: [["a"]]})
    with pytest.raises(ValueError, match=f"'{target}'.*ragged"):
        task.execute({**inputs, target: [[1.0], [1.0, 2.0]]})
    with pytest.raises(ValueError, match="sizes"):
        task.execute(inputs, sizes=[5])


@pytest.mark.parametrize("name", NAMES)
def test_config_is_frozen_documented_and_has_a_yaml(name: str) -> None:
    entry = tasks.describe(name)
    assert is_dataclass(entry.config)
    assert all(field.metadata["meaning"] for field in fields(entry.config))
    assert entry.paper
    assert entry.year > 1900
    assert entry.bibtex.startswith("@")
    task = tasks.create(name)
    with pytest.raises(FrozenInstanceError):
        task.config.anything = 1
    assert task.name == name
    first, _ = (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8").split("\n", 1)
    assert first.startswith("# ")
    options = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    options.pop("training", None)  # what the trainer reads
    assert tasks.create(**options).spec == task.spec


def test_listing_and_unknown_names() -> None:
    assert "bfs" in tasks.list_tasks()
    assert tasks.list_tasks("*_copy") == ["repeat_copy", "series_copy"]
    assert tasks.list_tasks("quick*") == ["quickselect", "quicksort"]
    with pytest.raises(ValueError, match="unknown task 'bsf'; did you mean bfs"):
        tasks.create("bsf")
    with pytest.raises(ValueError, match="no option 'point'; did you mean pointers"):
        tasks.create("bfs", point="nodes")
    with pytest.raises(ValueError, match="'node'; did you mean nodes"):
        tasks.create("bfs", pointers="node")


def test_data_model_loads_neither_torch_nor_numba() -> None:
    code = "import sys, tasks.spec, tasks.registry; print(sorted({'torch', 'numba', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
