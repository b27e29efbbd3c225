"""Range minima, present and past, against lists of all versions of the array."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import tasks
from tasks.batch import Batch
from tests.tasks.samples import alone
from tests.tasks.streamed import check_streamed_example, stream

NAMES = ["range_minimum", "persistent_range_minimum"]
TASKS = {name: tasks.create(name) for name in NAMES}
KINDS = ["assign", "ask"]
Operations = list[tuple[str, list[int], float]]


def ranges(part: dict[str, Tensor], entries: int) -> list[tuple[int, int]]:
    """First entry and one past the last of every node."""
    low, high = ((part[name] * entries).round().int().tolist() for name in ("low", "high"))
    return list(zip(low, high, strict=True))


def check_tree(spans: list[tuple[int, int]], parent: list[int], entries: int) -> None:
    """Entries are nodes; the others halve their ranges, in preorder from the root on."""
    assert spans[:entries] == [(i, i + 1) for i in range(entries)]
    preorder: list[tuple[int, int]] = []

    def split(low: int, high: int) -> None:
        if high - low > 1:
            preorder.append((low, high))
            middle = low + (high - low + 1) // 2
            split(low, middle)
            split(middle, high)

    split(0, entries)
    assert spans[entries:] == preorder
    for node, (low, high) in enumerate(spans):
        around = [k for k, (a, b) in enumerate(spans) if a <= low and high <= b and k != node]
        smallest = min(around, key=lambda k: spans[k][1] - spans[k][0], default=node)
        assert parent[node] == smallest


def visits(spans: list[tuple[int, int]], parent: list[int], low: int, high: int) -> tuple[set[int], set[int]]:
    """Nodes passed on the way to the largest nodes within a range, and those themselves."""
    inside = {k for k, (a, b) in enumerate(spans) if low <= a and b <= high}
    ended = {k for k in inside if parent[k] == k or parent[k] not in inside}
    passed = {k for k, (a, b) in enumerate(spans) if k not in inside and a < high and low < b}
    return passed, ended


def marked(mask: Tensor) -> set[int]:
    return set(mask.nonzero().flatten().tolist())


def check(batch: Batch, b: int) -> None:
    """A sample says what the plain versions say."""
    part = alone(batch, b)
    entries = (int(batch.sizes[b]) + 1) // 2
    spans, parent = ranges(part, entries), part["parent"].tolist()
    check_tree(spans, parent, entries)
    versions = [part["initial"][:entries].tolist()]
    for t in range(int(batch.steps[b])):
        named = sorted(marked(part["element"][t]))
        low, high = named[0], named[-1] + 1
        passed, ended = visits(spans, parent, low, high)
        now = list(versions[-1])
        assigns = int(part["operation"][t]) == 1
        if assigns:
            now[low] = part["value"][t].item()
            assert part["answer"][t] == -1
        else:
            s = round(part["version"][t].item() * t) if "version" in part else t
            least = min(range(low, high), key=lambda i: (versions[s][i], i))
            assert part["answer"][t] == least
        versions.append(now)
        if "visit_h" in part:
            assert marked(part["visit_h"][t + 1] == 1) == passed
            assert marked(part["visit_h"][t + 1] == 2) == ended
            assert marked(part["modified_h"][t + 1]) == (passed | ended if assigns else set())
        else:
            assert marked(part["relevant_h"][t + 1]) == passed | ended
            assert marked(part["persist_h"][t + 1]) == (passed | ended if assigns else set())
    for t, array in enumerate(versions):
        least = [min(range(a, b), key=lambda i: (array[i], i)) for a, b in spans]
        assert part["least_h"][t].tolist() == least
        assert part["minimum_h"][t].tolist() == [array[i] for i in least]
    for name in {"visit_h", "modified_h", "relevant_h", "persist_h"} & set(part):
        assert not part[name][0].any()


def inputs_of(name: str, initial: list[float], operations: Operations) -> dict[str, Tensor]:
    """Operations: kind, its two ends, and the value assigned or the version asked about."""
    nodes = 2 * len(initial) - 1
    inputs = stream(KINDS, [(kind, named) for kind, named, _ in operations], nodes)
    inputs["initial"] = torch.tensor([initial + [0.0] * (nodes - len(initial))])
    inputs["value"] = torch.tensor([[amount if kind == "assign" else 0.0] for kind, _, amount in operations])
    if name == "persistent_range_minimum":
        shares = [
            (amount / t if t else 1.0) if kind == "ask" else 0.0 for t, (kind, _, amount) in enumerate(operations)
        ]
        inputs["version"] = torch.tensor(shares)[:, None]
    return inputs


@st.composite
def instances(draw: st.DrawFn) -> tuple[list[float], Operations]:
    """Arrays and assignments with ties, ranges of all widths, versions from the first to the present."""
    entries = draw(st.integers(1, 9))
    amounts = st.sampled_from([0.0, 0.5, -1.0, 2.0])
    operations: Operations = []
    for t in range(draw(st.integers(1, 10))):
        ends = draw(st.lists(st.integers(0, entries - 1), min_size=1, max_size=2))
        if draw(st.booleans()):
            operations.append(("ask", ends, float(draw(st.integers(0, t)))))
        else:
            operations.append(("assign", ends[:1], draw(amounts)))
    return draw(st.lists(amounts, min_size=entries, max_size=entries)), operations


@pytest.mark.parametrize("name", NAMES)
def test_trace_equals_the_plain_versions(name: str) -> None:
    @settings(max_examples=30, deadline=None)
    @given(instance=instances())
    def run(instance: tuple[list[float], Operations]) -> None:
        check(TASKS[name].execute(inputs_of(name, *instance)), 0)

    run()


@pytest.mark.parametrize("name", NAMES)
def test_sampled_traces_equal_the_plain_versions(name: str) -> None:
    batch = TASKS[name].sample(seed=4, size=[1, 2, 6, 21], batch_size=8)
    assert set(batch.sizes.tolist()) <= {1, 3, 11, 41}
    for b in range(8):
        check(batch, b)


def test_worked_example_of_range_minimum() -> None:
    batch = check_streamed_example(TASKS["range_minimum"], KINDS, {"initial": [0.5, 0.2, 0.9, 0, 0]})
    assert batch.inputs["parent"].tolist() == [[4, 4, 3, 3, 3]]
    check(batch, 0)


def test_worked_example_of_persistent_range_minimum() -> None:
    batch = check_streamed_example(TASKS["persistent_range_minimum"], KINDS, {"initial": [0.5, 0.2, 0.9, 0, 0]})
    check(batch, 0)


def test_versions_are_uniform_over_the_past_and_present() -> None:
    task = tasks.create("persistent_range_minimum", operations="5", queries=1.0)
    share = task.sample(size=3, batch_size=5000).inputs["version"]
    assert (share[0] == 1).all()
    for t in range(1, 5):
        counts = torch.bincount((share[t] * t).round().long(), minlength=t + 1).double()
        mean = 5000 / (t + 1)
        assert (counts - mean).abs().max() < 5 * mean**0.5
    present = tasks.create("persistent_range_minimum", past=0.0, queries=1.0).sample(size=6, batch_size=4)
    assert (present.inputs["version"] == 1).all()
    plain = tasks.create("range_minimum", queries=1.0).sample(size=6, batch_size=4)
    assert torch.equal(present.outputs["answer"], plain.outputs["answer"])


def test_shares_of_questions_and_ends_of_ranges() -> None:
    batch = tasks.create("range_minimum", operations="50", queries=0.3).sample(size=4, batch_size=100)
    asks = batch.inputs["operation"] == 2
    assert asks.double().mean().item() == pytest.approx(0.3, abs=0.035)
    entry = batch.inputs["element"][~asks].double().mean(0)
    assert (entry[:4] - 0.25).abs().max() < 0.05
    # Two ends of four entries, drawn one by one: the same in one of four, first and last in one of eight.
    ranges_ = batch.inputs["element"][asks]
    assert (ranges_.sum(-1) == 1).double().mean().item() == pytest.approx(0.25, abs=0.06)
    assert ranges_[:, [0, 3]].all(-1).double().mean().item() == pytest.approx(0.125, abs=0.05)
    assert not tasks.create("range_minimum", queries=0.0).sample(size=4).inputs["operation"].eq(2).any()


@pytest.mark.parametrize("name", NAMES)
def test_wrong_inputs_are_refused_by_name(name: str) -> None:
    task = TASKS[name]
    good = inputs_of(name, [0.5, 0.2, 0.9], [("assign", [0], 0.3), ("ask", [0, 2], 1.0), ("assign", [1], 0.4)])
    task.execute(good)
    whole = task.execute(good).inputs
    inner = good["element"].clone()
    inner[0, 0] = torch.tensor([0, 0, 0, 1, 0])
    wrong: list[tuple[dict[str, Tensor], str]] = [
        ({"element": inner}, r"'element'.*entries from 0 to 2, got node 3 at step 0 of sample 0"),
        ({"value": good["value"] + 1}, r"'value'.*zeros but for operations of class 1"),
        ({"initial": good["initial"] + 1}, r"'initial'.*zeros past the end"),
        ({"initial": good["initial"][:, :3]}, r"'initial'.*as of element"),
        ({"parent": whole["parent"].flip(1)}, r"'parent'.*the segment tree"),
        ({"low": whole["high"]}, r"'low'.*the segment tree"),
    ]
    if name == "persistent_range_minimum":
        wrong += [
            ({"version": torch.tensor([[0.0], [0.5], [0.0]])}, r"'version'.*whole number.*over 1.*got 0.5 at step 1"),
            ({"version": torch.tensor([[0.0], [2.0], [0.0]])}, r"'version'.*at most 1, got 2"),
            ({"version": torch.tensor([[1.0], [1.0], [0.0]])}, r"'version'.*zeros but for operations of class 2"),
        ]
    for change, message in wrong:
        with pytest.raises(ValueError, match=message):
            task.execute({**good, **change})
    even = {key: value[..., :4] if value.shape[-1] == 5 else value for key, value in good.items()}
    with pytest.raises(ValueError, match=r"a sample has 1, 3, 5, … nodes.*got \[4\]"):
        task.execute(even)


def test_a_question_at_the_first_step_is_about_the_initial_array() -> None:
    task = TASKS["persistent_range_minimum"]
    good = inputs_of("persistent_range_minimum", [0.5, 0.2], [("ask", [0, 1], 0.0)])
    assert task.execute(good).outputs["answer"].tolist() == [[1]]
    with pytest.raises(ValueError, match=r"'version'.*1 at step 0, got 0"):
        task.execute({**good, "version": torch.zeros(1, 1)})


def test_shares_outside_their_range_are_refused() -> None:
    with pytest.raises(ValueError, match="queries is a share from 0 to 1, got 2"):
        tasks.create("range_minimum", queries=2.0)
    with pytest.raises(ValueError, match="past is a share from 0 to 1, got -1"):
        tasks.create("persistent_range_minimum", past=-1.0)


@pytest.mark.parametrize("name", NAMES)
def test_the_minima_can_be_left_out_of_the_hints(name: str) -> None:
    """Everything else stays what it was."""
    whole, bare = (
        tasks.create(name, minima=minima).sample(seed=3, batch_size=2, size=[3, 6]) for minima in (True, False)
    )
    assert whole.hints.keys() - bare.hints.keys() == {"least_h", "minimum_h"}
    assert [probe.name for probe in bare.spec.hints] == list(bare.hints)
    for part in ("inputs", "hints", "outputs"):
        for key, value in getattr(bare, part).items():
            torch.testing.assert_close(value, getattr(whole, part)[key], rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_random_positions_keep_the_tree_and_its_order(name: str) -> None:
    """The ranges of a node's children meet, and fill it; all else stays what it was, and scoring is on even ones."""
    task = tasks.create(name, random_pos=True)
    batch, even = (one.sample(seed=3, batch_size=6, size=[1, 2, 3, 5, 8, 8]) for one in (task, TASKS[name]))
    for b, size in enumerate(batch.sizes.tolist()):
        low, high, parent = (batch.inputs[key][b, :size].tolist() for key in ("low", "high", "parent"))
        entries = (size + 1) // 2
        assert low[0] == 0 and high[entries - 1] == 1 and low[1:entries] == high[: entries - 1]
        assert all(0 <= a < z <= 1 for a, z in zip(low, high, strict=True))
        for node in range(entries, size):
            children = [k for k in range(size) if parent[k] == node != k]
            assert min(low[k] for k in children) == low[node] and max(high[k] for k in children) == high[node]
    assert not torch.equal(batch.inputs["low"], even.inputs["low"])
    changed = {key for key, value in batch.inputs.items() if not torch.equal(value, even.inputs[key])}
    assert changed == {"low", "high"} and all(torch.equal(batch.hints[key], even.hints[key]) for key in batch.hints)
    again = task.execute(batch.inputs, sizes=batch.sizes)
    assert all(torch.equal(again.inputs[key], value) for key, value in batch.inputs.items())
    assert torch.equal(again.outputs["answer"], batch.outputs["answer"])
    scored = task.for_scoring().sample(seed=3, batch_size=6, size=[1, 2, 3, 5, 8, 8])
    assert all(torch.equal(scored.inputs[key], value) for key, value in even.inputs.items())
    with pytest.raises(ValueError, match=r"'low'.*one after another"):
        task.execute(batch.inputs | {"low": batch.inputs["low"].flip(1)}, sizes=batch.sizes)
