"""Two maps with names, abridged, to ask about what was trained on random graphs: an underground and a family.

Both are listed from common knowledge and are not those that Graves et al. (Nature 2016) drew up, which had 84 and 54
edges, so that no published figure can be compared with scores on them.

The London Underground has the stations of fare zone 1 (and Earl's Court) as they lie along each line, branches that run
side by side in zone 1 as lines of their own. Left out are the District line's branch to Edgware Road, Circle line
trains' stretch to Hammersmith, everything outside the zone, Overground, Elizabeth line and DLR, walks between stations
of different names, the two stations called Edgware Road being told apart, and the stations at which only one of the
lines listed here stops: their neighbours on a line are then next to each other.

The family is that of George VI of the United Kingdom to his great-great-grandchildren in the line of succession's first
branch. Left out are second marriages, his brothers and sister, the children of Edward and of Margaret, the families of
Harry, Zara, Beatrice, Eugenie and Peter, and the edges to a third brother, for which there is no label.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_CIRCLE_NORTH = (
    "Edgware Road (Circle)", "Baker Street", "Great Portland Street", "Euston Square", "King's Cross St Pancras",
    "Farringdon", "Barbican", "Moorgate", "Liverpool Street",
)  # fmt: skip
_CIRCLE_SOUTH = (
    "Tower Hill", "Monument", "Cannon Street", "Mansion House", "Blackfriars", "Temple", "Embankment", "Westminster",
    "St James's Park", "Victoria", "Sloane Square", "South Kensington", "Gloucester Road",
)  # fmt: skip
LINES: dict[str, tuple[str, ...]] = {
    "Bakerloo": (
        "Paddington", "Edgware Road (Bakerloo)", "Marylebone", "Baker Street", "Regent's Park", "Oxford Circus",
        "Piccadilly Circus", "Charing Cross", "Embankment", "Waterloo", "Lambeth North", "Elephant & Castle",
    ),
    "Central": (
        "Notting Hill Gate", "Queensway", "Lancaster Gate", "Marble Arch", "Bond Street", "Oxford Circus",
        "Tottenham Court Road", "Holborn", "Chancery Lane", "St Paul's", "Bank", "Liverpool Street",
    ),
    "Circle": (
        *_CIRCLE_NORTH, "Aldgate", *_CIRCLE_SOUTH, "High Street Kensington", "Notting Hill Gate", "Bayswater",
        "Paddington", "Edgware Road (Circle)",
    ),
    "District": ("Aldgate East", *_CIRCLE_SOUTH, "Earl's Court"),
    "Hammersmith & City": ("Paddington", *_CIRCLE_NORTH, "Aldgate East"),
    "Jubilee": ("Baker Street", "Bond Street", "Green Park", "Westminster", "Waterloo", "Southwark", "London Bridge"),
    "Metropolitan": (*_CIRCLE_NORTH[1:], "Aldgate"),
    "Northern (Bank)": (
        "Euston", "King's Cross St Pancras", "Angel", "Old Street", "Moorgate", "Bank", "London Bridge", "Borough",
        "Elephant & Castle",
    ),
    "Northern (Charing Cross)": (
        "Euston", "Warren Street", "Goodge Street", "Tottenham Court Road", "Leicester Square", "Charing Cross",
        "Embankment", "Waterloo",
    ),
    "Piccadilly": (
        "Earl's Court", "Gloucester Road", "South Kensington", "Knightsbridge", "Hyde Park Corner", "Green Park",
        "Piccadilly Circus", "Leicester Square", "Covent Garden", "Holborn", "Russell Square",
        "King's Cross St Pancras",
    ),
    "Victoria": (
        "King's Cross St Pancras", "Euston", "Warren Street", "Oxford Circus", "Green Park", "Victoria", "Pimlico",
    ),
    "Waterloo & City": ("Waterloo", "Bank"),
}  # fmt: skip
"""The stations of each line in order; the Circle line ends where it began."""

# Father, mother, and their children in the order of birth, sons marked by +, daughters by -.
_MARRIAGES = (
    ("George VI", "Queen Elizabeth", ("-Elizabeth II", "-Margaret")),
    ("Philip", "Elizabeth II", ("+Charles", "-Anne", "+Andrew", "+Edward")),
    ("Charles", "Diana", ("+William", "+Harry")),
    ("Mark Phillips", "Anne", ("+Peter", "-Zara")),
    ("Andrew", "Sarah Ferguson", ("-Beatrice", "-Eugenie")),
    ("William", "Catherine", ("+George", "-Charlotte", "+Louis")),
)
BASE_RELATIONS = (
    "father", "mother", "spouse", "first brother", "second brother", "sister", "first son", "second son",
    "first daughter", "second daughter",
)  # fmt: skip
"""Names of the ten labels of a family's edges, each at most once for a person: of a kind the eldest, then the next."""
FAMILY_RELATIONS: dict[str, tuple[str, ...]] = {
    "paternal grandfather": ("father", "father"),
    "paternal grandmother": ("father", "mother"),
    "maternal grandfather": ("mother", "father"),
    "maternal grandmother": ("mother", "mother"),
    "father-in-law": ("spouse", "father"),
    "mother-in-law": ("spouse", "mother"),
    "sister-in-law": ("spouse", "sister"),
    "paternal uncle": ("father", "first brother"),
    "paternal aunt": ("father", "sister"),
    "maternal uncle": ("mother", "first brother"),
    "maternal aunt": ("mother", "sister"),
    "grandson": ("first son", "first son"),
    "granddaughter": ("first daughter", "first daughter"),
    "nephew": ("first brother", "first son"),
    "niece": ("sister", "first daughter"),
    "paternal great-grandmother": ("father", "father", "mother"),
    "maternal great-grandfather": ("father", "mother", "father"),
    "paternal great-uncle": ("father", "father", "first brother"),
    "paternal great-aunt": ("father", "father", "sister"),
    "maternal great-aunt": ("father", "mother", "sister"),
    "cousin by an uncle": ("father", "first brother", "first daughter"),
    "cousin by an aunt": ("father", "sister", "first son"),
    "great-grandson": ("first son", "first son", "first son"),
    "great-granddaughter": ("first son", "first son", "first daughter"),
    "great-great-grandfather": ("father", "father", "mother", "father"),
    "great-great-aunt": ("father", "father", "mother", "sister"),
    "first cousin once removed": ("father", "father", "sister", "first son"),
    "great-great-grandson": ("first daughter", "first son", "first son", "first son"),
}
"""Relations as chains of edges: a paternal great-uncle is a father's father's brother."""


class Map(NamedTuple):
    """A graph with names.

    Attributes:
        nodes: their names.
        labels: names of the edges' labels.
        edges: int64 `[edges, 3]`: from, label and to, by number; no two with the same from and label.
    """

    nodes: tuple[str, ...]
    labels: tuple[str, ...]
    edges: NDArray[np.int64]


def interchanges() -> dict[str, tuple[str, ...]]:
    """The lines with the stations at which at least two of them stop, in order."""
    stops = [station for line in LINES.values() for station in dict.fromkeys(line)]
    return {name: tuple(station for station in line if stops.count(station) > 1) for name, line in LINES.items()}


def london_underground() -> Map:
    """Stations, joined one way and back by every line that stops at both: a label for each line and direction."""
    lines = interchanges()
    nodes = tuple(dict.fromkeys(station for line in lines.values() for station in line))
    labels = tuple(f"{name} {way}" for name in lines for way in ("onwards", "back"))
    edges = []
    for k, line in enumerate(lines.values()):
        for here, there in itertools.pairwise(line):
            pair = nodes.index(here), nodes.index(there)
            edges += [(pair[0], 2 * k, pair[1]), (pair[1], 2 * k + 1, pair[0])]
    return Map(nodes, labels, np.array(edges, np.int64))


def family() -> Map:
    """People, joined by `BASE_RELATIONS`."""
    parents = [person for father, mother, _ in _MARRIAGES for person in (father, mother)]
    everyone = parents + [child[1:] for *_, children in _MARRIAGES for child in children]
    nodes = tuple(dict.fromkeys(everyone))
    edges = []

    def join(person: str, relation: str, other: str) -> None:
        edges.append((nodes.index(person), BASE_RELATIONS.index(relation), nodes.index(other)))

    for father, mother, children in _MARRIAGES:
        join(father, "spouse", mother)
        join(mother, "spouse", father)
        sons, daughters = ([child[1:] for child in children if child[0] == sex] for sex in "+-")
        for child in (*sons, *daughters):
            join(child, "father", father)
            join(child, "mother", mother)
            brothers = [son for son in sons if son != child]
            for relation, brother in zip(("first brother", "second brother"), brothers, strict=False):
                join(child, relation, brother)
            for sister in [daughter for daughter in daughters if daughter != child][:1]:
                join(child, "sister", sister)
        for parent in (father, mother):
            for relation, son in zip(("first son", "second son"), sons, strict=False):
                join(parent, relation, son)
            for relation, daughter in zip(("first daughter", "second daughter"), daughters, strict=False):
                join(parent, relation, daughter)
    return Map(nodes, BASE_RELATIONS, np.array(edges, np.int64))
