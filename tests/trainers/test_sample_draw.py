"""`zoo sample --draw`: pictures of trajectories hold every step that they should, and what is true of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from PIL import Image

import tasks
from tasks.batch import Batch
from trainers import sample_draw
from trainers.inspection.drawn_frame import changed_nodes
from trainers.inspection.one_sample import alone
from trainers.inspection.scene import OUTPUT, compose_scene
from trainers.sample_draw import draw
from trainers.usage import UsageError


def sample(name: str, size: int) -> Batch:
    task = tasks.create(name)
    return task.sample(batch_size=1, size=max(size, task.min_size))


def searched() -> Batch:
    """The graph of the example in the docstring of breadth-first search."""
    adjacency = np.zeros((1, 5, 5))
    for a, b in ((0, 1), (0, 2), (1, 3), (2, 3)):
        adjacency[0, a, b] = adjacency[0, b, a] = 1
    return tasks.create("bfs").execute({"s": [0], "A": adjacency})


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that would be written, in order."""
    kept: list[Figure] = []
    monkeypatch.setattr(sample_draw, "save", lambda figure, path: kept.append(figure) or path)
    return kept


def titles(figure: Figure) -> list[str]:
    return [ax.get_title().split("\n")[0] for ax in figure.axes if ax.get_title().startswith(("step", "outputs"))]


@pytest.mark.parametrize("name", tasks.list_tasks(ready=True))
def test_every_task_is_drawn(name: str) -> None:
    path = draw(tasks.create(name), sample(name, 4), Path(f"drawn/{name}.png"))
    with Image.open(path) as image:
        assert image.format == "PNG"
        colours = image.convert("RGB").getcolors(maxcolors=1 << 24)
        assert colours is not None
        assert len(colours) > 3


@pytest.mark.parametrize("name", tasks.list_tasks(ready=True))
def test_every_task_is_drawn_at_its_smallest(name: str, figures: list[Figure]) -> None:
    draw(tasks.create(name), sample(name, 1), Path("small.png"))
    FigureCanvasAgg(figures[0]).draw()


@pytest.mark.parametrize(
    ("name", "size", "frames"), [("bfs", 5, None), ("bfs", 1, 2), ("disjoint_set", 4, 7), ("copy", 3, 1)]
)
def test_a_film_has_an_image_a_frame_and_holds_the_last(name: str, size: int, frames: int | None) -> None:
    batch = sample(name, size)
    path = draw(tasks.create(name), batch, Path(f"films/{name}.gif"))
    with Image.open(path) as film:
        assert film.format == "GIF"
        assert film.n_frames == (frames or int(batch.lengths[0]) + 1)
        if film.n_frames > 1:
            pause = film.info["duration"]
            film.seek(film.n_frames - 1)
            assert film.info["duration"] > 2 * pause


def test_a_strip_is_a_dozen_frames_with_both_ends_and_the_outputs(figures: list[Figure]) -> None:
    draw(tasks.create("insertion_sort"), sample("insertion_sort", 30), Path("sort.png"))
    found = titles(figures[0])
    assert len(found) == 12
    assert (found[0], found[-2], found[-1]) == ("step 0, given", "step 29", "outputs")
    steps = [int(title.split()[1].rstrip(",")) for title in found[:-1]]
    assert steps == sorted(steps)
    assert np.ptp(np.diff(steps)) <= 1


def test_a_search_by_hand_is_drawn_as_it_is(figures: list[Figure]) -> None:
    batch = searched()
    scene = compose_scene(alone(batch))
    assert (scene.kind, list(scene.arrows), list(scene.fills), list(scene.marks)) == ("graph", ["pi"], ["reach"], ["s"])
    assert sorted(map(tuple, scene.lines.tolist())) == [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert not scene.directed
    frames = [scene.frame(t) for t in (0, 1, 2, OUTPUT)]
    assert frames[1]["pi"].tolist() == [0, 0, 0, 3, 4]
    assert frames[-1].keys() == {"s", "pi"}
    assert np.flatnonzero(changed_nodes(scene, frames[1], frames[0])).tolist() == [1, 2]
    assert np.flatnonzero(changed_nodes(scene, frames[2], frames[1])).tolist() == [3]
    draw(tasks.create("bfs"), batch, Path("bfs.png"))
    assert titles(figures[0]) == ["step 0, given", "step 1", "step 2", "outputs"]
    arrows = [[p for p in ax.patches if isinstance(p, FancyArrowPatch)] for ax in figures[0].axes]
    assert [len(found) for found in arrows] == [0, 2, 3, 3]
    widths = [[arrow.get_linewidth() for arrow in found] for found in arrows]
    assert len(set(widths[1])) == 1
    assert widths[2][0] == widths[2][1] < widths[2][2]
    assert max(widths[3]) == min(widths[2])


def test_an_edge_of_one_direction_has_a_head() -> None:
    weights = np.zeros((1, 3, 3))
    weights[0, 0, 1] = weights[0, 2, 0] = 0.5
    scene = compose_scene(alone(tasks.create("dag_shortest_paths").execute({"s": [2], "A": weights})))
    assert scene.directed
    assert scene.lines.tolist() == [[0, 1], [2, 0]]


def test_points_lie_where_they_are() -> None:
    batch = sample("segments_intersect", 4)
    scene = compose_scene(alone(batch))
    given = np.stack([batch.inputs[name][0].numpy() for name in "xy"], 1).astype(float)
    assert scene.kind == "points"
    apart, drawn = (np.linalg.norm(p[:, None] - p[None], axis=-1) for p in (given, scene.place))
    np.testing.assert_allclose(drawn / drawn.max(), apart / apart.max(), atol=1e-6)


def test_an_edge_mask_is_bold_where_it_holds_edges_and_a_matrix_elsewhere() -> None:
    assert list(compose_scene(alone(sample("mst_kruskal", 8))).bold) == ["in_mst"]
    assert compose_scene(alone(sample("floyd_warshall", 8))).maps == ["Pi", "D", "msk"]


@pytest.mark.parametrize("name", ["bellman_ford", "dijkstra", "mst_prim"])
def test_text_beside_sixteen_nodes_does_not_overlap(name: str, figures: list[Figure]) -> None:
    draw(tasks.create(name), sample(name, 16), Path("wide.png"))
    canvas = FigureCanvasAgg(figures[0])
    canvas.draw()
    assert len(figures[0].axes) > 3
    for ax in figures[0].axes:
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in ax.texts if text.get_text()]
        assert len(boxes) >= 16
        for i, box in enumerate(boxes):
            for other in boxes[i + 1 :]:
                # Lines above one another may touch.
                across = min(box.x1, other.x1) - max(box.x0, other.x0)
                down = min(box.y1, other.y1) - max(box.y0, other.y0)
                assert min(across, down) < 4, (name, ax.get_title())


def test_large_graphs_have_no_labels(figures: list[Figure]) -> None:
    draw(tasks.create("bellman_ford"), sample("bellman_ford", 40), Path("large.png"))
    assert {text.get_text() for ax in figures[0].axes for text in ax.texts} == {"s"}


@pytest.mark.parametrize("ending", ["png", "gif"])
def test_drawings_are_the_same_every_time(ending: str) -> None:
    files = [draw(tasks.create("bfs"), sample("bfs", 7), Path(f"{k}.{ending}")) for k in (0, 1)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("name", ["bfs.pdf", "bfs"])
def test_another_ending_is_refused_before_anything_is_written(name: str) -> None:
    with pytest.raises(UsageError, match=r"\.png.*\.gif"):
        draw(tasks.create("bfs"), searched(), Path("new") / name)
    assert not Path("new").exists()
