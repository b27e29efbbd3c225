"""The maps: lines in order, everything connected, names unique, and the relations of the family."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest

from tasks.questions.maps import (
    BASE_RELATIONS,
    FAMILY_RELATIONS,
    LINES,
    Map,
    family,
    interchanges,
    london_underground,
)
from tasks.questions.relations import EACH, LENGTHS, askable, relation_names, relations

UNDERGROUND, FAMILY = london_underground(), family()


@pytest.mark.parametrize("of", [UNDERGROUND, FAMILY])
def test_names_are_unique_everything_is_connected_and_labels_tell_edges_apart(of: Map) -> None:
    assert len(set(of.nodes)) == len(of.nodes) and len(set(of.labels)) == len(of.labels)
    graph = nx.DiGraph([(here, there) for here, _, there in of.edges.tolist()])
    assert sorted(graph) == list(range(len(of.nodes))) and nx.is_strongly_connected(graph)
    assert len({(here, label) for here, label, _ in of.edges.tolist()}) == len(of.edges)
    assert set(of.edges[:, 1].tolist()) == set(range(len(of.labels)))


def named(of: Map) -> set[tuple[str, str, str]]:
    """Edges by name."""
    return {(of.nodes[here], of.labels[label], of.nodes[there]) for here, label, there in of.edges.tolist()}


def test_each_line_runs_through_its_stations_in_order_and_back() -> None:
    edges = named(UNDERGROUND)
    expected = set()
    for name, line in interchanges().items():
        assert [station for station in LINES[name] if station in line] == list(line)
        for here, there in itertools.pairwise(line):
            expected |= {(here, f"{name} onwards", there), (there, f"{name} back", here)}
    assert edges == expected
    stops = [station for line in LINES.values() for station in set(line)]
    left_out = {station for station in stops if stops.count(station) == 1}
    assert not left_out & set(UNDERGROUND.nodes) and "Covent Garden" in left_out
    assert set(stops) == left_out | set(UNDERGROUND.nodes)


def test_lines_meet_where_they_do_in_london() -> None:
    at = {station: {name for name, line in LINES.items() if station in line} for station in UNDERGROUND.nodes}
    assert at["Oxford Circus"] == {"Bakerloo", "Central", "Victoria"}
    assert at["Green Park"] == {"Jubilee", "Piccadilly", "Victoria"}
    assert at["Waterloo"] == {"Bakerloo", "Jubilee", "Northern (Charing Cross)", "Waterloo & City"}
    assert at["Bank"] == {"Central", "Northern (Bank)", "Waterloo & City"}
    assert at["Moorgate"] == {"Circle", "Hammersmith & City", "Metropolitan", "Northern (Bank)"}
    assert at["Holborn"] == {"Central", "Piccadilly"}
    assert LINES["Circle"][0] == LINES["Circle"][-1]
    assert all(len(set(line)) == len(line) for name, line in LINES.items() if name != "Circle")
    graph = nx.Graph([(here, there) for here, _, there in named(UNDERGROUND)])
    assert nx.shortest_path_length(graph, "Bond Street", "Notting Hill Gate") == 1  # no other line stops between them


def test_families_edges_answer_one_another() -> None:
    edges = named(FAMILY)
    assert {len(BASE_RELATIONS), len(FAMILY.labels)} == {10}
    for here, label, there in edges:
        back = {other for start, other, end in edges if (start, end) == (there, here)}
        if label in ("father", "mother"):
            assert not back or back & set(BASE_RELATIONS[6:])
        elif label == "spouse":
            assert back == {"spouse"}
        elif "son" in label or "daughter" in label:
            assert back & {"father", "mother"}
    assert ("William", "father", "Charles") in edges and ("William", "mother", "Diana") in edges
    assert ("Charles", "sister", "Anne") in edges and ("Anne", "first brother", "Charles") in edges
    parents = [(here, there) for here, label, there in edges if label in ("father", "mother")]
    assert nx.is_directed_acyclic_graph(nx.DiGraph(parents))


@pytest.mark.parametrize(
    ("relation", "who", "whom"),
    [
        ("paternal great-uncle", "George", "Andrew"),
        ("maternal great-aunt", "William", "Margaret"),
        ("great-great-grandfather", "Charlotte", "George VI"),
        ("first cousin once removed", "Louis", "Peter"),
        ("mother-in-law", "Catherine", "Diana"),
        ("niece", "Charles", "Zara"),
        ("great-great-grandson", "George VI", "George"),
    ],
)
def test_named_relations_are_who_they_are(relation: str, who: str, whom: str) -> None:
    following = {(here, label): there for here, label, there in named(FAMILY)}
    here = who
    for edge in FAMILY_RELATIONS[relation]:
        here = following[here, edge]
    assert here == whom


def test_table_of_relations_has_a_hundred_chains_of_each_length() -> None:
    table = relations()
    assert [len(chain) for chain in table] == [1] * 10 + [length for length in LENGTHS for _ in range(EACH)]
    assert len(set(table)) == len(table) == 410
    assert {label for chain in table for label in chain} == set(range(10))
    assert relation_names().keys() == FAMILY_RELATIONS.keys()
    questions = askable(FAMILY).tolist()
    assert {relation for _, relation, _ in questions} == {*range(10), *relation_names().values()}
    assert [length for *_, length in questions] == sorted(len(table[relation]) for _, relation, _ in questions)
