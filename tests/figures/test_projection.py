import itertools
import json
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from instructor_core.analysis.alignment import align
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.groups import Groups
from instructor_core.analysis.projection import GridProjection, project_grid
from instructor_core.figures import theme
from instructor_core.figures.labels import MAX_DRAWN, MAX_SYMBOLS
from instructor_core.figures.panels import PanelSet
from instructor_core.figures.placing import MAX_NUMBERED
from instructor_core.figures.projection import MAX_LEGEND, MAX_SVG_POINTS, projection_panels

INSTRUCTIONS = ("topic", "feeling")


def result_of(n_texts: int, n_components: int = 2, layout: str = "joint") -> GridProjection:
    vectors = np.random.default_rng(0).normal(size=(2, n_texts, 6))
    texts = tuple(f"text {i}" for i in range(n_texts))
    grid = EmbeddingGrid(INSTRUCTIONS, texts, None, vectors)
    return project_grid(grid, method="pca", n_components=n_components, layout=layout)


def panels_of(result: GridProjection, labels: tuple[str, ...] | None = None) -> PanelSet:
    texts = tuple(f"text {i}" for i in range(result.coordinates.shape[1]))
    return projection_panels(result, texts, labels, INSTRUCTIONS[: len(result.coordinates)])


def like_umap(coordinates: np.ndarray) -> GridProjection:
    n = coordinates.shape[0]
    projection = replace(result_of(4).projections[0], method="umap", explained_variance_ratio=None)
    return GridProjection(coordinates, "joint", (projection,), (0.9,) * n, (5,) * n)


@pytest.mark.parametrize("n_components", [2, 3])
def test_each_text_is_a_point_at_its_coordinates_that_carries_its_index(n_components: int) -> None:
    result = result_of(7, n_components)
    labels = ("b", "a", "", "b", "a", "a", "b")
    for k, panel in enumerate(panels_of(result, labels).panels):
        seen = {}
        for trace in panel.figure.data:
            assert trace.meta == {"kind": "points"}
            axes = [trace.x, trace.y, trace.z] if n_components == 3 else [trace.x, trace.y]
            seen.update({item: [axis[at] for axis in axes] for at, item in enumerate(trace.customdata)})
        assert sorted(seen) == list(range(7))
        np.testing.assert_allclose([seen[i] for i in range(7)], result.coordinates[k])


def test_a_label_has_the_same_colour_and_shape_in_every_panel_and_a_few_have_a_legend() -> None:
    panels = panels_of(result_of(6), ("b", "a", "", "b", "a", "c")).panels
    looks = [[(t.name, t.marker.color, t.marker.symbol) for t in panel.figure.data] for panel in panels]
    assert looks[0] == looks[1]
    assert looks[0][1:] == [
        (name, theme.label_color(rank), theme.LABEL_SYMBOLS[rank]) for rank, name in enumerate("bac")
    ]
    assert looks[0][0][0] == "no label"
    assert len({color for _, color, _ in looks[0]}) == 4
    assert all(panel.figure.layout.showlegend for panel in panels)

    def legend(labels: tuple[str, ...] | None) -> bool:
        return bool(panels_of(result_of(MAX_LEGEND + 1), labels).panels[0].figure.layout.showlegend)

    n = MAX_LEGEND + 1
    assert legend(tuple(str(i % MAX_LEGEND) for i in range(n)))
    assert not legend(tuple(map(str, range(n))))
    assert not legend(None)
    assert not legend(("",) * n)


def test_joint_panels_share_their_ranges_and_separate_ones_have_their_own() -> None:
    def ranges(layout: str) -> list[tuple[object, object]]:
        panels = panels_of(result_of(9, layout=layout)).panels
        return [(p.figure.layout.xaxis.range, p.figure.layout.yaxis.range) for p in panels]

    joint, separate = ranges("joint"), ranges("separate")
    assert joint[0] == joint[1]
    assert separate[0] != separate[1]
    for coordinates, sides in zip(result_of(9, layout="separate").coordinates, separate, strict=True):
        for values, (low, high) in zip(coordinates.T, sides, strict=True):
            assert low < values.min() <= values.max() < high


@pytest.mark.parametrize("n_components", [2, 3])
def test_principal_axes_say_how_much_of_the_variance_they_show(n_components: int) -> None:
    result = result_of(9, n_components, "separate")
    for k, panel in enumerate(panels_of(result).panels):
        layout = panel.figure.layout.scene if n_components == 3 else panel.figure.layout
        ratio = result.explained_variance_ratio(k)
        for axis, name in enumerate(("xaxis", "yaxis", "zaxis")[:n_components]):
            words = " of variance" if n_components == 2 else ""
            assert layout[name].title.text == f"PC {axis + 1} · {round(100 * ratio[axis])} %{words}"


def test_each_panel_says_its_trustworthiness_and_turned_ones_their_variance_without_components() -> None:
    result = result_of(12)
    for panel, value in zip(panels_of(result).panels, result.trustworthiness, strict=True):
        assert panel.subtitle == f"PCA · trustworthiness {value:.2f} (5 neighbours)"
    for n in (0, 1, 2):
        few = panels_of(result_of(n))
        assert few.panels[0].subtitle == "PCA · trustworthiness needs 4 different texts"
        assert len(json.loads(few.to_json())["panels"]) == 2
    grid = EmbeddingGrid(INSTRUCTIONS, tuple("abcde"), None, np.random.default_rng(0).normal(size=(2, 5, 6)))
    maps = align(project_grid(grid, layout="separate", method="pca"), grid)
    for panel in projection_panels(maps, grid.texts, None, INSTRUCTIONS).panels:
        assert panel.figure.layout.xaxis.title.text is None
        assert panel.subtitle.endswith("% of variance")


def test_the_text_alternative_says_method_layout_trust_and_what_stands_together() -> None:
    result = result_of(12, layout="separate")
    trust = f"Trustworthiness: A {result.trustworthiness[0]:.2f}, B {result.trustworthiness[1]:.2f}."
    words = f"Map of 12 texts in 2 dimensions by PCA, separate layout. {trust} "
    distances = [np.linalg.norm(panel[:, None] - panel[None], axis=2) + np.eye(12) * 99 for panel in result.coordinates]
    labels = (*("odd" if i % 2 else "even" for i in range(11)), "")
    right = [sum(labels[i] == labels[row.argmin()] for i, row in enumerate(d[:11])) for d in distances]
    assert panels_of(result, labels).alt == (
        f"{words}Labelled texts that lie nearest to one of their own label: A {right[0]} of 11, B {right[1]} of 11."
    )
    closest = [sorted(int(i) + 1 for i in np.unravel_index(d.argmin(), d.shape)) for d in distances]
    told = ", ".join(f"{name} {i} and {j}" for name, (i, j) in zip("AB", closest, strict=True))
    assert panels_of(result).alt == f"{words}Closest together: {told}."


def test_thousands_of_different_labels_make_a_bounded_number_of_traces() -> None:
    n = 500
    labels = ("", *(f"<b>{i}</b>" for i in range(1, n)))
    figure = panels_of(like_umap(np.zeros((1, n, 2), dtype=np.float32)), labels).panels[0].figure
    assert len(figure.data) == MAX_DRAWN + 2
    assert [trace.name for trace in figure.data[:3]] == ["no label", "further labels", "&lt;b&gt;1&lt;/b&gt;"]
    symbols = [trace.marker.symbol for trace in figure.data[2:]]
    assert len(set(symbols[:MAX_SYMBOLS])) == MAX_SYMBOLS and set(symbols[MAX_SYMBOLS:]) == {"circle"}
    assert sorted(item for trace in figure.data for item in trace.customdata) == list(range(n))


def boxes(figure: go.Figure) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Left, bottom, right and top of all markers and of all words on a map of square pixels, 360 px wide."""
    low, high = (np.array([figure.layout[axis].range[end] for axis in ("xaxis", "yaxis")]) for end in (0, 1))
    scale = 360 / float((high - low).max())
    markers, found = [], []
    for trace in figure.data:
        for x, y, words, place in zip(trace.x, trace.y, trace.text, trace.textposition, strict=True):
            left, bottom = (np.array([x, y]) - low) * scale
            markers.append((left - 4.5, bottom - 4.5, left + 4.5, bottom + 4.5))
            up, right = (
                ("top", "middle", "bottom").index(place.split()[0]),
                ("left", "center", "right").index(place.split()[1]),
            )
            width = 6 * len(words)
            away = 4.5 / 0.8 + 1  # Plotly's distance
            start = left + (-width - away, -width / 2, away)[right]
            floor = bottom + (away, -5.5, -away - 11)[up]
            if words:
                found.append((start, floor, start + width, floor + 11))
    for note in figure.layout.annotations:
        x, y = (np.array([note.x, note.y]) - low) * scale
        found.append((x - 4 * len(note.text), y - 6, x + 4 * len(note.text), y + 6))
    return markers, found


@pytest.mark.parametrize("stretch", [(1, 1), (0.2, 1), (1, 0.2)])
@pytest.mark.parametrize("n", [5, 24, MAX_NUMBERED])
def test_texts_numbers_and_names_of_groups_cover_neither_each_other_nor_a_point_nor_the_edge(
    n: int, stretch: tuple[float, float]
) -> None:
    rng = np.random.default_rng(n)
    coordinates = ((rng.normal(size=(n, 2)) + np.where(np.arange(n) % 2, 4, 0)[:, None]) * stretch)[None]
    texts = tuple(f"text {i} says something that is too long for its place" for i in range(n))
    labels = tuple(("even", "odd")[i % 2] for i in range(n))
    panel = projection_panels(like_umap(coordinates), texts, labels, INSTRUCTIONS[:1]).panels[0]
    figure = panel.figure
    (left, right), (bottom, top) = figure.layout.xaxis.range, figure.layout.yaxis.range
    assert (top - bottom) / (right - left) == pytest.approx(panel.aspect)  # so that the page has nothing to widen
    markers, found = boxes(figure)
    assert all(start >= 0 and end <= 360 for start, _, end, _ in found)
    for first, second in (*itertools.combinations(found, 2), *itertools.product(found, markers)):
        apart = first[2] <= second[0] or second[2] <= first[0] or first[3] <= second[1] or second[3] <= first[1]
        assert apart, (first, second)
    words = [words for trace in figure.data for words in trace.text]
    assert all(line.split()[0] in map(str, range(1, n + 1)) for line in words if line)
    assert any("text" in line for line in words) is (n <= 24)


def test_texts_in_one_place_stand_around_it_many_are_points_alone_and_a_group_is_named_if_it_stands_together() -> None:
    trace = panels_of(like_umap(np.zeros((1, 30, 2)))).panels[0].figure.data[0]
    shown = [place for words, place in zip(trace.text, trace.textposition, strict=True) if words]
    assert 4 <= len(shown) == len(set(shown)) < 30
    for n, kind in ((MAX_NUMBERED + 1, go.Scatter), (MAX_SVG_POINTS + 1, go.Scattergl)):
        trace = panels_of(like_umap(np.random.default_rng(0).normal(size=(1, n, 2)))).panels[0].figure.data[0]
        assert isinstance(trace, kind) and trace.mode == "markers"
    rng = np.random.default_rng(0)
    coordinates = rng.normal(size=(1, 300, 2)) * 0.3
    coordinates[0, :100] += (8, 0)
    labels = ("apart",) * 100 + tuple(("mixed", "up")[i % 2] for i in range(200))
    (name,) = panels_of(like_umap(coordinates), labels).panels[0].figure.layout.annotations
    assert name.text == "apart"
    assert abs(name.x - 8) < 1 and abs(name.y) < 1.5


def test_found_groups_take_the_place_of_labels_and_the_nearest_texts_stand_in_the_tooltip() -> None:
    result = result_of(6)
    groups = Groups(("soup, cake", "film"), np.array([1, 0, 0, 1, 1, 0]), "")
    nearest = np.arange(24).reshape(2, 6, 2) % 6
    texts = tuple("abcdef")
    for k, panel in enumerate(
        projection_panels(result, texts, None, INSTRUCTIONS, groups=groups, nearest=nearest).panels
    ):
        assert [trace.name for trace in panel.figure.data] == ["soup, cake", "film"]
        assert [list(trace.customdata) for trace in panel.figure.data] == [[1, 2, 5], [0, 3, 4]]
        assert panel.figure.data[1].meta == {"kind": "points", "nearest": nearest[k, [0, 3, 4]].tolist()}
        assert panel.figure.layout.showlegend
    labelled = projection_panels(result, texts, ("x",) * 6, INSTRUCTIONS, groups=groups).panels[0].figure
    assert [trace.name for trace in labelled.data] == ["x"]
