"""Compiled algorithms: right in every value that they claim, and nothing but weights of ordinary modules."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

import tasks
import zoo
from tests.zoo.compiled.exactness import run, wrong
from zoo.compiled import Program, after, at_sender, compile_algorithm, list_algorithms, plan, processors
from zoo.compiled.bfs import bfs_attention

EXACT = ("bfs", "bellman_ford")
SEARCHES = ("binary_search", "parallel_search")
STABLE = ("minimum", *SEARCHES, "insertion_sort", "bubble_sort", "odd_even_transposition_sort")
SORTS = ("insertion_sort", "bubble_sort", "odd_even_transposition_sort", "heapsort", "quicksort")
LARGEST = {"bubble_sort": 16, "odd_even_transposition_sort": 64, "dfs": 256}
COMPONENTS = {"divide_and_conquer_components": 256, "strongly_connected_components": 64}
PAIRS = [(name, processor) for name in list_algorithms() for processor in processors(name)]
LATE = ("bellman_ford", "gatv2")
EXACT_PAIRS = [pair for pair in PAIRS if pair[0] in EXACT and pair != LATE]
OUTPUT_PAIRS = [pair for pair in PAIRS if pair not in EXACT_PAIRS]
SMALL: list[tuple[str, str, Any]] = [
    ("dense", "clrs", [7, 16]),
    ("sparse", "clrs", [7, 16]),
    ("sparse", "grid", 36),
    ("dense", "path", 12),
    ("sparse", "erdos_renyi_threshold", 40),
]
LARGE: list[tuple[str, str, int]] = [
    ("dense", "clrs", 16),
    ("dense", "clrs", 64),
    ("dense", "clrs", 256),
    ("dense", "clrs", 1024),
    ("sparse", "grid", 1024),
    ("sparse", "path", 256),
    ("sparse", "sparse", 1600),
]


@pytest.mark.parametrize(("layout", "distribution", "size"), SMALL)
@pytest.mark.parametrize(("name", "processor"), EXACT_PAIRS)
def test_every_hint_and_output_is_that_of_the_trace(
    name: str, processor: str, layout: str, distribution: str, size: Any
) -> None:
    task = tasks.create(name)
    batch = task.sample(seed=3, batch_size=4, size=size, layout=layout, distribution=[distribution])
    found = wrong(run(compile_algorithm(name, task.spec, processor), batch), batch)
    assert found == {probe.name: 0 for probe in task.spec.outputs + task.spec.hints}


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "distribution", "size"), LARGE)
@pytest.mark.parametrize(("name", "processor"), EXACT_PAIRS)
def test_every_hint_and_output_is_that_of_the_trace_at_large_sizes(
    name: str, processor: str, layout: str, distribution: str, size: int
) -> None:
    task = tasks.create(name)
    count = max(1, min(8, 1024 // size))
    batch = task.sample(seed=4, batch_size=count, size=size, layout=layout, distribution=[distribution])
    found = wrong(run(compile_algorithm(name, task.spec, processor), batch), batch)
    assert found == {probe.name: 0 for probe in task.spec.outputs + task.spec.hints}


def outputs_wrong(name: str, processor: str, **how: Any) -> int:
    """Wrong entries of the outputs, on samples drawn as told."""
    task = tasks.create(name)
    batch = task.sample(seed=5, **how)
    found = wrong(run(compile_algorithm(name, task.spec, processor), batch), batch)
    return sum(found[probe.name] for probe in task.spec.outputs)


@pytest.mark.parametrize(("name", "processor"), OUTPUT_PAIRS)
def test_every_output_is_right(name: str, processor: str) -> None:
    kinds = {"few_distinct": name in STABLE, "sorted": name in SORTS, "present": name in SEARCHES}
    for distribution in (None, *(kind for kind, has in kinds.items() if has)):
        given = {} if distribution is None else {"distribution": [distribution]}
        assert not outputs_wrong(name, processor, batch_size=8, size=[2, 3, 5, 11], **given)


@pytest.mark.slow
@pytest.mark.parametrize("size", [16, 64, 256, 1024])
@pytest.mark.parametrize(("name", "processor"), [pair for pair in OUTPUT_PAIRS if pair[0] != "floyd_warshall"])
def test_every_output_is_right_at_large_sizes(name: str, processor: str, size: int) -> None:
    if size > (LARGEST | COMPONENTS).get(name, size):
        pytest.skip("a trace of so many frames takes too much memory or time")
    assert not outputs_wrong(name, processor, batch_size=2, size=size)


@pytest.mark.slow
@pytest.mark.parametrize("size", [16, 64, 256])
def test_all_pairs_shortest_paths_are_right_at_large_sizes(size: int) -> None:
    task = tasks.create("floyd_warshall")
    batch = task.sample(seed=5, batch_size=1, size=size)
    # Nine products of matrices join 512 edges; n of them would hold n³ logits each.
    batch = dataclasses.replace(batch, lengths=batch.lengths.clamp_max(10))
    prediction = run(compile_algorithm("floyd_warshall", task.spec), batch)
    assert torch.equal(prediction.values["Pi"], batch.outputs["Pi"].long())


@pytest.mark.parametrize("processor", processors("dfs"))
def test_depth_first_search_is_late_by_a_frame_where_it_learns_of_its_own_decisions(processor: str) -> None:
    task = tasks.create("dfs")
    batch = task.sample(seed=5, batch_size=4, size=9)
    prediction = run(compile_algorithm("dfs", task.spec, processor), batch)
    found = wrong(prediction, batch)
    assert found["pi"] == found["s_last"] == 0 and found["pi_h"] > 0 and found["color"] > 0
    assert torch.equal(prediction.hint_values["pi_h"], batch.hints["pi_h"][:-1].long())
    color, true = prediction.hint_values["color"], batch.hints["color"].long()
    assert bool(((color == true[:-1]) | (color == true[1:])).all())


def test_a_search_by_attention_needs_a_temperature_that_grows_with_the_graph() -> None:
    task = tasks.create("bfs")
    batch = task.sample(seed=5, batch_size=1, size=256)
    cold, warm = (compile_algorithm(bfs_attention(nodes), task.spec, "gatv2") for nodes in (256, 1))
    assert wrong(run(cold, batch), batch)["pi"] == 0 < wrong(run(warm, batch), batch)["pi"]


def test_hints_of_squaring_are_ahead_of_the_trace_but_for_the_pivot() -> None:
    task = tasks.create("floyd_warshall")
    batch = task.sample(seed=5, batch_size=4, size=9)
    found = wrong(run(compile_algorithm("floyd_warshall", task.spec), batch), batch)
    assert {name for name, count in found.items() if count == 0} == {"Pi", "k"}


def test_a_trace_that_is_not_the_algorithms_is_counted_as_wrong() -> None:
    task = tasks.create("bfs")
    batch = task.sample(seed=3, batch_size=4, size=16)
    model = compile_algorithm("bfs", task.spec)
    assert not any(wrong(run(model, batch), batch).values())
    with torch.no_grad():
        model.processor.update.from_messages.weight.zero_()  # type: ignore[union-attr]
    assert all(wrong(run(model, batch), batch).values())


@pytest.mark.parametrize(("name", "processor"), PAIRS)
def test_weights_load_into_a_model_made_in_the_ordinary_way(name: str, processor: str) -> None:
    made = plan(name, processor)
    task = tasks.create(name, **made.program.task)
    compiled = compile_algorithm(name, task.spec, processor)
    fresh = zoo.Reasoner(
        task.spec,
        zoo.create(processor, **made.options),
        config=made.program.reasoner,
        bind={name: dict(made.bind)} if made.bind else None,
    ).to(getattr(torch, made.program.precision))
    fresh.load_state_dict(compiled.state_dict(), strict=True)
    modules, others = dict(compiled.named_modules()), dict(fresh.named_modules())
    assert {path: type(module) for path, module in modules.items()} == {k: type(m) for k, m in others.items()}
    assert {n for n, _ in compiled.named_buffers()} == {n for n, _ in fresh.named_buffers()}
    assert all(type(module).__module__.startswith(("zoo.", "torch.nn.")) for module in modules.values())
    assert not any(module.__module__.startswith("zoo.compiled") for module in map(type, modules.values()))
    for module in modules.values():
        assert not (module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)
        assert "forward" not in vars(module)


@pytest.mark.parametrize(("name", "processor"), PAIRS)
def test_nothing_of_the_weights_is_drawn_or_fitted(name: str, processor: str) -> None:
    task = tasks.create(name, **plan(name, processor).program.task)
    torch.manual_seed(1)
    one = compile_algorithm(name, task.spec, processor).state_dict()
    torch.manual_seed(2)
    other = compile_algorithm(name, task.spec, processor).state_dict()
    values = torch.cat([tensor.flatten() for tensor in one.values()])
    assert all(torch.equal(one[key], other[key]) for key in one)
    # Constants of the program, most of them signed sums of a few powers of two, and float32 holds them all.
    assert torch.equal(values.float().to(values.dtype), values) and len(values.unique()) < 32


def test_the_state_is_in_the_hidden_where_the_program_says_so() -> None:
    task = tasks.create("bfs")
    batch = task.sample(seed=5, batch_size=2, size=16)
    soft = compile_algorithm("bfs", task.spec)
    assert not soft.config.encode_hints and not any(wrong(run(soft, batch), batch).values())


def test_an_own_algorithm_is_compiled() -> None:
    """Who is a neighbour of the source, as a mask under the name of a hint of bfs."""
    program = Program()
    near = program.message("near", program.edge("adj") + at_sender(program.node("s")) - 1.0)
    program.hidden("near")
    program.update("near", near)
    program.read("reach_h", after(program.hidden("near")) - 0.5)
    task = tasks.create("bfs")
    batch = task.sample(seed=6, batch_size=4, size=16)
    prediction = run(compile_algorithm(program, task.spec, "mpnn"), batch)
    true = batch.inputs["adj"][torch.arange(4), batch.inputs["s"].long()] > 0
    assert torch.equal(prediction.hint_values["reach_h"][0], true)


def test_unknown_names_are_told_with_near_matches() -> None:
    spec = tasks.create("bfs").spec
    with pytest.raises(ValueError, match="did you mean bfs"):
        compile_algorithm("bsf", spec)
    with pytest.raises(ValueError, match="did you mean mpnn"):
        compile_algorithm("bfs", spec, "mpn")
