"""Segments and convex hulls against exact fractions, triangles by brute force, and scipy's hulls."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull
from scipy.stats import ks_2samp, kstest

import tasks
from tasks import legacy
from tasks.batch import Batch
from tasks.legacy.geometry import disk_points
from tests.tasks.samples import assert_same

Point = tuple[int, int]

HULLS = ["graham_scan", "jarvis_march"]
SEGMENTS, GRAHAM, JARVIS = (tasks.create(name) for name in ["segments_intersect", *HULLS])
POINTS = st.tuples(st.integers(-2, 2), st.integers(-2, 2))


def execute(task: tasks.Task, *samples: list[Point]) -> Batch:
    """The task on samples with equally many points."""
    array = np.array(samples, float)
    return task.execute({"x": array[..., 0], "y": array[..., 1]})


def meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether segments a-b and c-d have a point in common: solve a + t (b - a) = c + u (d - c) exactly."""
    (rx, ry), (sx, sy) = (b[0] - a[0], b[1] - a[1]), (d[0] - c[0], d[1] - c[1])
    qx, qy = c[0] - a[0], c[1] - a[1]
    determinant = rx * sy - ry * sx
    if determinant:
        t, u = Fraction(qx * sy - qy * sx, determinant), Fraction(qx * ry - qy * rx, determinant)
        return 0 <= t <= 1 and 0 <= u <= 1
    # Parallel, or one is a point: if they meet at all, then at an end of one of them.
    return any(between(p, q, r) for p, q, r in [(a, c, d), (b, c, d), (c, a, b), (d, a, b)])


def between(p: Point, q: Point, r: Point) -> bool:
    """Whether p is on the segment q-r: the ways over p are no longer than the straight one."""
    along = (p[0] - q[0]) * (r[0] - q[0]) + (p[1] - q[1]) * (r[1] - q[1])
    across = (p[0] - q[0]) * (r[1] - q[1]) - (p[1] - q[1]) * (r[0] - q[0])
    return across == 0 and 0 <= along <= (r[0] - q[0]) ** 2 + (r[1] - q[1]) ** 2 and (q != r or p == q)


def in_triangle(p: Point, a: Point, b: Point, c: Point) -> bool:
    """Whether p is in a triangle with an area, its sides included."""
    areas = [(v[0] - u[0]) * (p[1] - u[1]) - (v[1] - u[1]) * (p[0] - u[0]) for u, v in [(a, b), (b, c), (c, a)]]
    has_area = (b[0] - a[0]) * (c[1] - a[1]) != (b[1] - a[1]) * (c[0] - a[0])
    return has_area and (min(areas) >= 0 or max(areas) <= 0)


def corners(points: list[Point]) -> list[bool]:
    """Which points are not in the hull of the other places, by Carathéodory's theorem; of equal points the first."""
    marks = []
    for v, p in enumerate(points):
        others = set(points) - {p}
        inside = any(between(p, *pair) for pair in combinations(others, 2))
        inside = inside or any(in_triangle(p, *triple) for triple in combinations(others, 3))
        marks.append(not inside and p not in points[:v])
    return marks


def general_position(count: int, size: int, name: str) -> Iterator[tuple[Batch, int, list[int]]]:
    """Sampled batches, the number of a sample, and the corners of its hull from the lowest on, counter-clockwise."""
    batch = tasks.create(name).sample(size=size, batch_size=count, seed=4)
    for b in range(count):
        points = torch.stack([batch.inputs["x"][b], batch.inputs["y"][b]], 1).double().numpy()
        ring = ConvexHull(points).vertices.tolist()
        lowest = ring.index(int(points[:, 1].argmin()))
        yield batch, b, ring[lowest:] + ring[:lowest]


@settings(max_examples=150, deadline=None)
@given(ends=st.lists(POINTS, min_size=4, max_size=4))
def test_segments_intersect_where_the_equations_have_a_solution(ends: list[Point]) -> None:
    expected = meet(*ends)
    a, b, c, d = ends
    # Neither the order of the segments nor that of their ends matters.
    same = [[a, b, c, d], [b, a, c, d], [a, b, d, c], [c, d, a, b]]
    assert execute(SEGMENTS, *same).outputs["intersect"].tolist() == [expected] * 4


@settings(max_examples=40, deadline=None)
@given(ends=st.lists(POINTS, min_size=4, max_size=4))
def test_frames_of_segments_look_at_one_end_each(ends: list[Point]) -> None:
    hints = {name: value[:, 0] for name, value in execute(SEGMENTS, ends).hints.items()}
    for t, (i, j, k) in enumerate([(0, 0, 0), (2, 3, 0), (2, 3, 1), (0, 1, 2), (0, 1, 3)]):
        assert [int(hints[name][t]) for name in ("i", "j", "k")] == [i, j, k]
        triangle = np.array([[1, *ends[i]], [1, *ends[k]], [1, *ends[j]]])
        area = round(np.linalg.det(triangle)) if t else 0
        box = [sorted((ends[i][axis], ends[j][axis])) for axis in (0, 1)]
        on = t > 0 and all(low <= ends[k][axis] <= high for axis, (low, high) in enumerate(box))
        for name, value in (("dir", area), ("on_seg", on)):
            before = hints[name][t - 1].tolist() if t else [0] * 4
            assert hints[name][t].tolist() == [value if v == k and t else before[v] for v in range(4)]


@settings(max_examples=80, deadline=None)
@given(points=st.lists(POINTS, min_size=1, max_size=8), name=st.sampled_from(HULLS))
def test_hulls_of_any_points_have_the_corners_found_by_brute_force(points: list[Point], name: str) -> None:
    batch = execute(tasks.create(name), points)
    assert batch.outputs["in_hull"][0].tolist() == corners(points)
    assert torch.equal(batch.hints["in_hull_h"][-1], batch.outputs["in_hull"])


@pytest.mark.parametrize("name", HULLS)
@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(3, 3)], [1]),
        ([(3, 3), (1, 2)], [1, 1]),
        ([(3, 3), (3, 3)], [1, 0]),
        ([(1, 1)] * 5, [1, 0, 0, 0, 0]),
        ([(1, 1), (3, 3), (2, 2), (5, 5), (4, 4)], [1, 0, 0, 1, 0]),
        ([(2, 0), (0, 0), (1, 0), (3, 0), (0, 0), (3, 0)], [0, 1, 0, 1, 0, 0]),
        ([(0, 2), (0, 0), (0, 1), (0, 3)], [0, 1, 0, 1]),
        ([(0, 0), (2, 0), (2, 2), (0, 2), (1, 0), (2, 1), (1, 2), (0, 1), (1, 1)], [1, 1, 1, 1, 0, 0, 0, 0, 0]),
        ([(0, 0), (1, 1), (2, 2), (3, 3), (0, 1)], [1, 0, 0, 1, 1]),
    ],
    ids=["one", "two", "two equal", "all equal", "line", "flat line", "upright line", "sides", "first ray"],
)
def test_degenerate_hulls(name: str, points: list[Point], expected: list[int]) -> None:
    assert execute(tasks.create(name), points).outputs["in_hull"][0].int().tolist() == expected
    random = np.random.default_rng(0)
    for _ in range(10):
        moved = [points[v] for v in random.permutation(len(points))]
        assert execute(tasks.create(name), moved).outputs["in_hull"][0].tolist() == corners(moved)


@pytest.mark.parametrize("name", HULLS)
def test_points_at_angles_that_rounding_makes_equal_are_told_apart(name: str) -> None:
    left, right = (1, 10**9), (2, 2 * 10**9 - 1)
    assert np.arctan2(left[1], left[0]) == np.arctan2(right[1], right[0])
    for far in (left, right), (right, left):
        for points in ([(0, 0), *far], [*far, (0, 0)], [(0, 0), *far, (-1, 0), (0, 1)], [(1, 0), *far, (0, 0), (5, 9)]):
            assert execute(tasks.create(name), points).outputs["in_hull"][0].tolist() == corners(points)


@pytest.mark.parametrize("name", HULLS)
def test_points_on_one_ray_in_any_order(name: str) -> None:
    ray = [(3 * k, k) for k in (5, 3, 7, 1, 6, 2)]
    for points in (
        [(0, 0), *ray],
        [(0, 0), *ray, (-10, 10)],
        [(10, 0), (0, 0), *ray],
        [(0, 0), (25, 1), *ray, (-1, 9)],
    ):
        assert execute(tasks.create(name), points).outputs["in_hull"][0].tolist() == corners(points)


@pytest.mark.parametrize("name", HULLS)
@pytest.mark.parametrize("size", [3, 8, 40])
def test_hulls_of_sampled_points_are_those_of_scipy(name: str, size: int) -> None:
    for batch, b, ring in general_position(20, size, name):
        assert batch.outputs["in_hull"][b].nonzero().flatten().tolist() == sorted(ring)
        assert batch.hints["best"][1:, b][: batch.lengths[b] - 1].unique().tolist() == [ring[0]]


def test_graham_scans_by_angle_and_its_stack_is_the_hull() -> None:
    for batch, b, ring in general_position(12, 14, "graham_scan"):
        hints = {name: value[: batch.lengths[b], b] for name, value in batch.hints.items()}
        x, y = batch.inputs["x"][b].double().numpy(), batch.inputs["y"][b].double().numpy()
        angles = np.arctan2(y - y[ring[0]], x - x[ring[0]])
        np.testing.assert_allclose(hints["atans"][2:].numpy(), np.tile(angles, (len(hints["i"]) - 2, 1)), atol=1e-6)
        assert not hints["atans"][:2].any()
        pushed = hints["i"][hints["phase"] == 4].tolist()
        assert pushed == sorted(set(range(14)) - {ring[0]}, key=lambda v: angles[v])
        assert hints["phase"][:3].tolist() == [0, 1, 2]
        # Every point is pushed once, and those that are no corners are popped once.
        assert batch.lengths[b] == 3 + 13 + 14 - len(ring)
        for t in range(1, len(hints["i"])):
            way, v = [], int(hints["last_stack"][t])
            while v != hints["stack_prev"][t, v]:
                way.append(v)
                v = int(hints["stack_prev"][t, v])
            assert v == ring[0]
            assert sorted([v, *way]) == hints["in_hull_h"][t].nonzero().flatten().tolist()
        assert [v, *way[::-1]] == ring


def test_jarvis_marches_around_the_hull() -> None:
    for batch, b, ring in general_position(12, 14, "jarvis_march"):
        hints = {name: value[: batch.lengths[b], b] for name, value in batch.hints.items()}
        assert batch.lengths[b] == 1 + len(ring) * 15
        assert hints["phase"].tolist() == [0] + [1] * (len(ring) * 15)
        for number, corner in enumerate(ring):
            frames = slice(1 + number * 15, 1 + (number + 1) * 15)
            assert hints["last_point"][frames].unique().tolist() == [corner]
            assert hints["in_hull_h"][frames].sum(1).unique().tolist() == [number + 1]
            assert hints["i"][frames].tolist() == [0, *range(14)]
            assert hints["endpoint"][frames][-1] == ring[(number + 1) % len(ring)]
            assert hints["endpoint"][frames][0] == 0
        assert torch.equal(hints["pred_h"], torch.arange(-1, 13).clamp_min(0).expand_as(hints["pred_h"]))


def test_jarvis_order_can_be_an_input() -> None:
    task = tasks.create("jarvis_march", pred_as_input=True)
    assert [probe.name for probe in task.spec.inputs] == ["pos", "x", "y", "pred"]
    points = [(0, 0), (1, 0), (0, 1)]
    batch = execute(task, points)
    assert batch.inputs["pred"].tolist() == [[0, 0, 1]]
    plain = execute(JARVIS, points)
    assert_same(dict(batch.hints), {key: value for key, value in plain.hints.items() if key != "pred_h"})


def test_worked_examples_of_the_docstrings() -> None:
    batch = execute(SEGMENTS, [(0, 0), (2, 2), (0, 2), (2, 0)])
    assert {name: batch.hints[name][:, 0].tolist() for name in "ijk"} == {
        "i": [0, 2, 2, 0, 0],
        "j": [0, 3, 3, 1, 1],
        "k": [0, 0, 1, 2, 3],
    }
    assert batch.hints["dir"][:, 0].tolist() == [[0] * 4, [4, 0, 0, 0], [4, -4, 0, 0], [4, -4, -4, 0], [4, -4, -4, 4]]
    assert batch.hints["on_seg"][:, 0].sum(1).tolist() == [0, 1, 2, 3, 4]
    assert batch.outputs["intersect"].tolist() == [True]

    batch = execute(GRAHAM, [(0, 0), (3, 0), (1, 1), (0, 3)])
    hints = {name: value[:, 0] for name, value in batch.hints.items()}
    assert hints["phase"].tolist() == [0, 1, 2, 4, 4, 3, 4]
    assert hints["best"].tolist() == [0] * 7
    assert hints["i"].tolist() == [0, 0, 0, 1, 2, 3, 3]
    assert hints["last_stack"].tolist() == [0, 0, 0, 1, 2, 1, 3]
    assert ["".join(map(str, row)) for row in hints["in_hull_h"].int().tolist()] == (
        ["0000", "1000", "1000", "1100", "1110", "1100", "1101"]
    )
    assert ["".join(map(str, row)) for row in hints["stack_prev"].tolist()] == (
        ["0123", "0123", "0123", "0023", "0013", "0023", "0021"]
    )
    torch.testing.assert_close(hints["atans"][2], torch.tensor([0, 0, torch.pi / 4, torch.pi / 2]))
    assert batch.outputs["in_hull"].int().tolist() == [[1, 1, 0, 1]]

    hints = {name: value[:, 0] for name, value in execute(JARVIS, [(0, 0), (1, 0), (0, 1)]).hints.items()}
    assert hints["in_hull_h"].int().tolist() == [[0, 0, 0], *[[1, 0, 0]] * 4, *[[1, 1, 0]] * 4, *[[1, 1, 1]] * 4]
    assert hints["phase"].tolist() == [0] + [1] * 12
    assert hints["last_point"].tolist() == [0] * 5 + [1] * 4 + [2] * 4
    assert hints["endpoint"].tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 2, 0, 0, 0, 0]
    assert hints["i"].tolist() == [0, *[0, 0, 1, 2] * 3]


def test_sampled_points_are_uniform_over_a_disk() -> None:
    batch = GRAHAM.sample(size=50, batch_size=100)
    x, y = (batch.inputs[name].double().numpy().ravel() for name in "xy")
    assert_same({"x": batch.inputs["x"]}, {"x": JARVIS.sample(size=50, batch_size=100).inputs["x"]})
    # Over a disk the squared distance is uniform, and so is the angle; one sample in a thousand would be below.
    assert kstest((x**2 + y**2) / 4, "uniform").pvalue > 1e-3
    assert kstest(np.arctan2(y, x) / (2 * np.pi) + 0.5, "uniform").pvalue > 1e-3
    legacy_x = legacy.draw("graham_scan", seed=0, samples=100, size=50)["x"].ravel()
    assert ks_2samp(x, legacy_x).pvalue > 1e-3


def test_sampled_segments_cross_in_every_other_sample_and_are_uniform_given_that() -> None:
    batch = SEGMENTS.sample(size=4, batch_size=4000)
    assert batch.sizes.tolist() == [4] * 4000
    crossing = batch.outputs["intersect"]
    # 2,000 expected: five standard deviations.
    assert abs(int(crossing.sum()) - 2000) < 5 * 1000**0.5
    theirs = legacy.draw("segments_intersect", seed=0, samples=4000, size=4)
    their_crossing = SEGMENTS.execute(theirs).outputs["intersect"]
    assert abs(int(their_crossing.sum()) - 2000) < 5 * 1000**0.5
    for wanted in (False, True):
        for feature in (lambda x, y: np.hypot(x[:, 0] - x[:, 1], y[:, 0] - y[:, 1]), lambda x, y: x[:, 2] + y[:, 3]):
            ours = feature(*(batch.inputs[name][crossing == wanted].double().numpy() for name in "xy"))
            other = feature(*(theirs[name][their_crossing.numpy() == wanted] for name in "xy"))
            assert ks_2samp(ours, other).pvalue > 1e-3


def test_lattices_have_all_their_places_and_many_ties() -> None:
    hull = GRAHAM.sample(size=40, batch_size=200, distribution="lattice")
    for name in "xy":
        places, counts = hull.inputs[name].unique(return_counts=True)
        assert places.tolist() == [k / 2 - 2 for k in range(9)]
        assert (counts - 8000 / 9).abs().max() < 5 * (8000 / 9) ** 0.5
    assert not torch.equal(hull.inputs["x"], hull.inputs["y"])
    for b in range(20):
        points = [(int(u), int(v)) for u, v in zip(hull.inputs["x"][b] * 2, hull.inputs["y"][b] * 2, strict=True)]
        distinct = np.array(sorted(set(points)))
        marked = {points[v] for v in hull.outputs["in_hull"][b].nonzero().flatten().tolist()}
        assert marked == {tuple(point) for point in distinct[ConvexHull(distinct).vertices].tolist()}
        assert int(hull.outputs["in_hull"][b].sum()) == len(marked)
    mixed = GRAHAM.sample(size=[3, 9], batch_size=64, distribution=["disk", "lattice"])
    on_lattice = (mixed.inputs["x"] * 2 % 1 == 0).all(1)
    assert 10 < int(on_lattice.sum()) < 54
    pair = SEGMENTS.sample(size=4, batch_size=400, distribution="lattice")
    assert pair.inputs["x"].unique().tolist() == pair.inputs["y"].unique().tolist() == [0, 0.25, 0.5, 0.75, 1]
    touching = (pair.hints["dir"][-1] == 0).any(1) & pair.outputs["intersect"]
    assert int(touching.sum()) > 50


class Scripted(np.random.RandomState):
    """A generator whose uniform draws are written down beforehand."""

    def __init__(self, *draws: list[float]) -> None:
        super().__init__(0)
        self.draws = list(draws)

    def uniform(self, *, low: float, high: float, size: tuple[int, ...]) -> np.ndarray:
        draw = np.array(self.draws.pop(0))
        assert draw.shape == size
        return low + (high - low) * draw


def test_legacy_points_are_drawn_again_while_three_are_collinear() -> None:
    line = [[0.0, 0.0, 0.5, 0.25], [0.25, 0.04, 0.25, 0.5]]  # three on a diameter
    nearly = [[0.0, 0.5, 1e-13, 0.25], [0.25, 0.25, 0.04, 0.5]]
    apart = [[0.0, 0.5, 0.1, 0.25], [0.25, 0.25, 0.04, 0.5]]
    random = Scripted(*line, *nearly, *apart, *apart)
    drawn = disk_points(random, 4)
    assert len(random.draws) == 2
    np.testing.assert_allclose(np.hypot(drawn["x"], drawn["y"]), 2 * np.sqrt(apart[1]))
    np.testing.assert_allclose(drawn["y"][[0, 3]], [0, 2 * 0.5**0.5], atol=1e-15)


@pytest.mark.parametrize("task", [SEGMENTS, GRAHAM, JARVIS], ids=lambda task: task.name)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [[0.0, 1.0, 0.0]]}, r"'y'.*shape \[1, 4\]"),
        ({"x": [[0.0, 1.0, -2e18, 0.0]]}, r"'x'.*at most 1e\+18 in size, got one of 2e\+18"),
        ({"y": [[0.0, 1.0, 0.0, np.inf]]}, "'y'.*finite"),
        ({"x": np.zeros((1, 0)), "y": np.zeros((1, 0))}, "at least [14] nodes"),
    ],
)
def test_wrong_inputs_are_refused_by_name(task: tasks.Task, change: dict[str, object], message: str) -> None:
    inputs = {"x": [[0.0, 1.0, 0.0, 1.0]], "y": [[0.0, 0.0, 1.0, 1.0]]}
    task.execute(inputs)
    with pytest.raises(ValueError, match=message):
        task.execute({**inputs, **change})


def test_segments_have_four_ends() -> None:
    with pytest.raises(ValueError, match=r"'x'.*the 4 ends of two segments in every sample, got 5 points in one"):
        SEGMENTS.execute({"x": np.zeros((2, 5)), "y": np.zeros((2, 5))}, sizes=[4, 5])


def test_largest_coordinates_do_not_overflow() -> None:
    square = np.array([[-1e18, 1e18, 1e18, -1e18, 0.0]]), np.array([[-1e18, -1e18, 1e18, 1e18, 0.0]])
    for task in (GRAHAM, JARVIS):
        batch = task.execute({"x": square[0], "y": square[1]})
        assert batch.outputs["in_hull"].tolist() == [[True, True, True, True, False]]
    batch = SEGMENTS.execute({"x": square[0][:, [0, 2, 1, 3]], "y": square[1][:, [0, 2, 1, 3]]})
    assert batch.outputs["intersect"].tolist() == [True]
    assert torch.isfinite(batch.hints["dir"]).all()
