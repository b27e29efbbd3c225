"""Questions about graphs: what is told when, answers against networkx and dictionaries, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import tasks
from tasks.batch import Batch
from tasks.questions import lessons
from tasks.questions.graph_question import PLACES, GraphQuestion
from tasks.questions.relations import relation_names, relations

Triple = tuple[int, int, int]
NAMES = ("graph_traversal", "graph_shortest_path", "graph_inference")
MAPPED = {"graph_traversal": "london_underground", "graph_shortest_path": "london_underground",
          "graph_inference": "family"}  # fmt: skip
EXAMPLE = [(5, 7, 10), (10, 2, 120), (120, 7, 5)]


class Told:
    """One sample, taken apart by hand."""

    def __init__(self, task: GraphQuestion, batch: Batch, b: int) -> None:
        steps = int(batch.steps[b])
        triples = task.triples(batch.inputs)[:steps, b].tolist()
        self.begins = batch.inputs["phase"][:steps, b, 0].nonzero().flatten().tolist()
        self.facts = [tuple(triple) for triple in triples[: self.begins[0]]]
        self.query = [tuple(triple) for triple in triples[self.begins[0] : self.begins[1]]]
        self.later = triples[self.begins[1] :]
        self.answering = batch.inputs["answering"][:steps, b, 0].tolist()
        self.answer = [tuple(triple) for triple in task.triples(batch.outputs, of="answer_")[:steps, b].tolist()]
        self.next = {(here, label): there for here, label, there in self.facts}

    def due(self) -> list[Triple]:
        """The answer."""
        return [triple for triple, on in zip(self.answer, self.answering, strict=True) if on]


def samples(name: str, count: int = 24, **options: Any) -> tuple[GraphQuestion, Batch, list[Told]]:
    """Samples of the first lessons and the last."""
    task = tasks.create(name, **options)
    batch = task.sample(seed=7, size=[1, 3, 6, 20], batch_size=count)
    return task, batch, [Told(task, batch, b) for b in range(count)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mapped", [False, True])
def test_phases_follow_one_another(name: str, mapped: bool) -> None:
    task, batch, told = samples(name, map=MAPPED[name] if mapped else "random")
    for one in told:
        asked, last = one.begins[0], one.begins[-1]
        assert len(one.begins) == (2 if name == "graph_traversal" else 3)
        assert last == asked + len(one.query) + task.planning
        assert one.answering == [False] * last + [True] * (len(one.answering) - last)
        assert all(triple == [-1, -1, -1] for triple in one.later)
        assert all(min(fact) >= 0 and max(fact) < 1000 for fact in one.facts)
        assert len({(here, label) for here, label, _ in one.facts}) == len(one.facts)
        assert all((triple == (-1, -1, -1)) != on for triple, on in zip(one.answer, one.answering, strict=True))
    if name == "graph_shortest_path":
        for place in PLACES:
            assert torch.equal(batch.hints[f"previous_{place}"][1:], batch.outputs[f"answer_{place}"])
    else:
        assert batch.hints == {}
    assert sum(probe.classes for probe in task.spec.inputs) + 2 == 92


@pytest.mark.parametrize("mapped", [False, True])
def test_walks_follow_the_labels(mapped: bool) -> None:
    _, _, told = samples("graph_traversal", map="london_underground" if mapped else "random")
    for one in told:
        here = one.query[0][0]
        assert [triple[1] for triple in one.query] == [label for _, label, _ in one.due()]
        for k, (start, label, end) in enumerate(one.due()):
            assert one.query[k] == (here if k == 0 else -1, label, -1)
            assert start == here and one.next[here, label] == end
            here = end


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("unique", [False, True])
def test_paths_are_shortest_and_where_asked_for_the_only_ones(mapped: bool, unique: bool) -> None:
    options = {"map": "london_underground" if mapped else "random", "unique": unique}
    task, batch, told = samples("graph_shortest_path", **options)
    for one in told:
        graph = nx.MultiDiGraph([(here, there) for here, _, there in one.facts])
        (start, blank, goal), path = one.query[0], one.due()
        assert len(one.query) == 1 and blank == -1
        assert len(path) == nx.shortest_path_length(graph, start, goal)
        assert set(path) <= set(one.facts)
        assert [path[0][0], *(end for *_, end in path)] == [start, *(start for start, *_ in path[1:]), goal]
        if unique:
            ways = nx.all_shortest_paths(nx.DiGraph(graph), start, goal)
            assert sum(1 for way in ways for _ in range(parallel(graph, way))) == 1
    said = {name: value.clamp_min(0) for name, value in batch.outputs.items()}
    assert task.is_shortest(batch, said).all()


def parallel(graph: nx.MultiDiGraph, way: list[int]) -> int:
    """How many choices of edges go along the nodes of a path."""
    product = 1
    for here, there in itertools.pairwise(way):
        product *= graph.number_of_edges(here, there)
    return product


@pytest.mark.parametrize("mapped", [False, True])
def test_relations_are_chains_of_edges(mapped: bool) -> None:
    _, _, told = samples("graph_inference", count=40, map="family" if mapped else "random")
    table = relations()
    lengths = set()
    for one in told:
        (start, relation, blank), (answer,) = one.query[0], one.due()
        here = start
        for label in table[relation]:
            here = one.next[here, label]
        assert blank == -1 and answer == (start, relation, here)
        lengths.add(len(table[relation]))
        assert not mapped or relation < 10 or relation in relation_names().values()
    assert len(lengths) > 2


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("graph_traversal", lessons.TRAVERSAL),
        ("graph_shortest_path", lessons.SHORTEST_PATH),
        ("graph_inference", lessons.INFERENCE),
    ],
)
def test_graphs_are_as_their_lesson_says(name: str, table: tuple[tuple[int, ...], ...]) -> None:
    task = tasks.create(name)
    for number in (1, 4, len(table)):
        fewest, most, low, high, shortest, longest = table[number - 1]
        batch = task.sample(seed=1, size=number, batch_size=20)
        sizes, lengths = set(), set()
        for b in range(20):
            one = Told(task, batch, b)
            nodes = {here for here, *_ in one.facts}
            degrees = [sum(here == node for here, *_ in one.facts) for node in nodes]
            assert {there for *_, there in one.facts} <= nodes and fewest <= len(nodes) <= most
            assert all(min(low, len(nodes) - 1) <= degree <= high for degree in degrees)
            assert all(here != there for here, _, there in one.facts)
            sizes.add(len(nodes))
            lengths.add(len(relations()[one.query[0][1]]) if name == "graph_inference" else len(one.due()))
        assert len(sizes) > 2 and len(lengths) > min(1, longest - shortest)
        assert max(lengths) <= longest and (name == "graph_shortest_path" or min(lengths) >= shortest)
    last, beyond = (task.sample(size=size, batch_size=2) for size in (len(table), len(table) + 50))
    assert all(torch.equal(last.inputs[place], beyond.inputs[place]) for place in PLACES)


def places(triples: list[Triple]) -> dict[str, Tensor]:
    """Triples as digits by their place."""
    digits = [[label // 10**k % 10 if label >= 0 else -1 for label in t for k in (2, 1, 0)] for t in triples]
    return dict(zip(PLACES, torch.tensor(digits)[:, None, None].unbind(-1), strict=True))


def stream(task: GraphQuestion, facts: list[Triple], query: list[Triple], steps: int) -> dict[str, Tensor]:
    """Inputs of one sample."""
    triples = [*facts, *query, *[(-1, -1, -1)] * (task.planning + steps)]
    phase, answering = torch.zeros(2, len(triples), 1, 1)
    asked = len(facts) + len(query)
    phase[[len(facts), asked, asked + task.planning]] = 1
    answering[asked + task.planning :] = 1
    return {**places(triples), "phase": phase, "answering": answering}


def answered(task: GraphQuestion, facts: list[Triple], query: list[Triple], steps: int) -> list[Triple]:
    """The answer that the task gives."""
    batch = task.execute(stream(task, facts, query, steps))
    return Told(task, batch, 0).due()


def test_worked_examples_of_the_docstrings() -> None:
    walk = tasks.create("graph_traversal")
    assert answered(walk, EXAMPLE, [(5, 7, -1), (-1, 2, -1)], 2) == EXAMPLE[:2]
    assert walk.execute(stream(walk, EXAMPLE, [(5, 7, -1), (-1, 2, -1)], 2)).steps.tolist() == [7]
    path = tasks.create("graph_shortest_path")
    batch = path.execute(stream(path, EXAMPLE, [(5, -1, 120)], 2))
    assert Told(path, batch, 0).due() == EXAMPLE[:2] and Told(path, batch, 0).begins == [3, 4, 14]
    hints = {name.removeprefix("previous_"): value[:-1] for name, value in batch.hints.items()}
    assert path.triples(hints)[:, 0].tolist() == [[-1] * 3] * 15 + [list(EXAMPLE[0])]
    relation = relation_names()["paternal great-grandmother"]
    facts = [(5, 0, 10), (10, 0, 12), (12, 1, 7)]
    assert answered(tasks.create("graph_inference"), facts, [(5, relation, -1)], 1) == [(5, relation, 7)]


LABELS = st.integers(0, 6)


@settings(max_examples=30, deadline=None)
@given(facts=st.lists(st.tuples(LABELS, LABELS, LABELS), min_size=1, max_size=12), start=LABELS, goal=LABELS)
def test_given_paths_are_those_of_networkx(facts: list[Triple], start: int, goal: int) -> None:
    task = tasks.create("graph_shortest_path")
    graph = nx.DiGraph([(here, there) for here, _, there in facts])
    graph.add_nodes_from([start, goal])
    if start == goal or not nx.has_path(graph, start, goal):
        with pytest.raises(ValueError, match="sample 0 has no answer"):
            answered(task, facts, [(start, -1, goal)], 1)
        return
    path = answered(task, facts, [(start, -1, goal)], nx.shortest_path_length(graph, start, goal))
    lowest = {
        (u, v): min((label, v) for here, label, there in facts if (here, there) == (u, v)) for u, v in graph.edges
    }
    ways = nx.all_shortest_paths(graph, start, goal)
    best = min([lowest[pair] for pair in itertools.pairwise(nodes)] for nodes in ways)
    assert [(label, there) for _, label, there in path] == best


def test_other_shortest_paths_are_judged_right_and_longer_or_broken_ones_wrong() -> None:
    task = tasks.create("graph_shortest_path")
    facts = [(1, 0, 2), (2, 0, 4), (1, 1, 3), (3, 1, 4), (4, 0, 1)]
    batch = task.execute(stream(task, facts, [(1, -1, 4)], 2))
    steps = len(batch.inputs["phase"])
    for path, right in (
        (facts[2:4], True),
        (facts[:2], True),
        ([facts[0], facts[3]], False),
        ([(1, 5, 2), facts[1]], False),
        ([facts[4], facts[0]], False),
    ):
        said = places([(0, 0, 0)] * (steps - 2) + path)
        answers = {f"answer_{place}": value for place, value in said.items()}
        assert task.is_shortest(batch, answers).tolist() == [right]


@pytest.mark.parametrize(
    ("name", "query", "steps"),
    [
        ("graph_traversal", [(5, 9, -1)], 1),
        ("graph_traversal", [(5, -1, -1)], 1),
        ("graph_traversal", [(5, 7, 10)], 1),
        ("graph_shortest_path", [(5, -1, 999)], 1),
        ("graph_shortest_path", [(5, 7, 10)], 1),
        ("graph_inference", [(5, 3, -1)], 1),
        ("graph_inference", [(5, 900, -1)], 1),
        ("graph_inference", [(-1, 7, -1)], 1),
    ],
)
def test_questions_without_an_answer_are_refused(name: str, query: list[Triple], steps: int) -> None:
    with pytest.raises(ValueError, match=f"{name}: the question of sample 0 has no answer"):
        answered(tasks.create(name), EXAMPLE, query, steps)


def test_other_layouts_are_refused_by_name() -> None:
    task = tasks.create("graph_shortest_path")
    fine = stream(task, EXAMPLE, [(5, -1, 120)], 2)
    changes: list[tuple[str, Any, str]] = [
        ("edge_tens", (1, -1), "'from_hundreds'.*all three digits"),
        ("to_ones", (1, 10), "'to_ones'.*digits, or -1"),
        ("phase", (0, 1), "'phase'.*3 phases"),
        ("phase", (14, 0), "'phase'.*3 phases"),
        ("answering", (14, 0), "'phase'.*the last one answering"),
        ("answering", (2, 1), "'answering'.*10 steps of planning"),
        ("answering", (15, 0), "'answering'.*layout"),
    ]
    for name, (step, value), message in changes:
        wrong = {**fine, name: fine[name].clone()}
        wrong[name][step] = value
        with pytest.raises(ValueError, match=message):
            task.execute(wrong)
    later = {place: fine[place].clone() for place in PLACES}
    for place in PLACES[:3]:
        later[place][14] = 1
    with pytest.raises(ValueError, match=r"'from_hundreds'.*layout"):
        task.execute({**fine, **later})
    blank = {place: fine[place].clone() for place in PLACES}
    for place in PLACES[:3]:
        blank[place][1] = -1
    with pytest.raises(ValueError, match=r"'from_hundreds'.*without blanks"):
        task.execute({**fine, **blank})


def test_one_hot_digits_are_read_as_digits() -> None:
    task, batch, _ = samples("graph_traversal", count=3)
    hot = {place: (batch.inputs[place][..., None] == torch.arange(10)).float() for place in PLACES}
    again = task.execute({**batch.inputs, **hot})
    assert all(torch.equal(again.outputs[name], value) for name, value in batch.outputs.items())


@pytest.mark.parametrize("name", NAMES)
def test_unknown_maps_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: unknown map 'paris'"):
        tasks.create(name, map="paris")
