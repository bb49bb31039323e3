from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from instructor_core.analysis.alignment import aligned_maps
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.projection import GridProjection, project_grid
from instructor_core.figures import theme
from instructor_core.figures.panels import PanelSet
from instructor_core.figures.projection import (
    MAX_LEGEND,
    MAX_NUMBERED,
    MAX_SVG_POINTS,
    MAX_SYMBOLS,
    MAX_TRACES,
    projection_panels,
)

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


def test_a_label_has_the_same_colour_and_shape_in_every_panel() -> None:
    panels = panels_of(result_of(6), ("b", "a", "", "b", "a", "c")).panels
    looks = [[(t.name, t.marker.color, t.marker.symbol) for t in panel.figure.data] for panel in panels]
    assert looks[0] == looks[1]
    assert looks[0][1:] == [
        (name, theme.label_color(rank), theme.LABEL_SYMBOLS[rank]) for rank, name in enumerate("bac")
    ]
    assert looks[0][0][0] == "no label"
    assert len({color for _, color, _ in looks[0]}) == 4
    assert all(panel.figure.layout.showlegend for panel in panels)


def test_shape_is_a_second_channel_for_the_first_labels_only() -> None:
    labels = tuple(f"label {i}" for i in range(10))
    symbols = [trace.marker.symbol for trace in panels_of(result_of(10), labels).panels[0].figure.data]
    assert len(set(symbols[:MAX_SYMBOLS])) == MAX_SYMBOLS
    assert set(symbols[MAX_SYMBOLS:]) == {"circle"}


def test_there_is_a_legend_for_a_few_labels_and_none_without_labels_or_for_many() -> None:
    def legend(labels: tuple[str, ...] | None) -> bool:
        return bool(panels_of(result_of(20), labels).panels[0].figure.layout.showlegend)

    assert legend(tuple(str(i % MAX_LEGEND) for i in range(20)))
    assert not legend(tuple(str(i % (MAX_LEGEND + 1)) for i in range(20)))
    assert not legend(None)
    assert not legend(("",) * 20)


def test_joint_panels_share_their_ranges_and_separate_ones_have_their_own() -> None:
    def ranges(layout: str) -> list[tuple[object, object]]:
        panels = panels_of(result_of(9, layout=layout)).panels
        return [(p.figure.layout.xaxis.range, p.figure.layout.yaxis.range) for p in panels]

    joint, separate = ranges("joint"), ranges("separate")
    assert joint[0] == joint[1]
    assert separate[0] != separate[1]


@pytest.mark.parametrize("layout", ["joint", "separate"])
def test_every_point_lies_inside_the_axis_ranges(layout: str) -> None:
    result = result_of(9, layout=layout)
    for k, panel in enumerate(panels_of(result).panels):
        for axis, name in enumerate(("xaxis", "yaxis")):
            low, high = panel.figure.layout[name].range
            assert low < result.coordinates[k, :, axis].min()
            assert result.coordinates[k, :, axis].max() < high


def test_both_directions_have_the_same_scale_and_no_ticks() -> None:
    layout = panels_of(result_of(9)).panels[0].figure.layout
    assert (layout.yaxis.scaleanchor, layout.yaxis.scaleratio) == ("x", 1)
    assert layout.xaxis.showticklabels is layout.yaxis.showticklabels is False
    assert panels_of(result_of(9, 3)).panels[0].figure.layout.scene.aspectmode == "data"


@pytest.mark.parametrize("n_components", [2, 3])
def test_principal_axes_say_how_much_of_the_variance_they_show(n_components: int) -> None:
    result = result_of(9, n_components, "separate")
    for k, panel in enumerate(panels_of(result).panels):
        layout = panel.figure.layout.scene if n_components == 3 else panel.figure.layout
        ratio = result.explained_variance_ratio(k)
        assert ratio is not None
        for axis, name in enumerate(("xaxis", "yaxis", "zaxis")[:n_components]):
            words = " of variance" if n_components == 2 else ""
            assert layout[name].title.text == f"PC {axis + 1} · {round(100 * ratio[axis])} %{words}"


def test_axes_of_umap_have_no_names() -> None:
    layout = panels_of(like_umap(np.random.default_rng(0).normal(size=(2, 20, 2)))).panels[0].figure.layout
    assert layout.xaxis.title.text is None
    assert layout.yaxis.title.text is None


def test_each_panel_says_its_trustworthiness() -> None:
    result = result_of(12)
    for panel, value in zip(panels_of(result).panels, result.trustworthiness, strict=True):
        assert panel.subtitle == f"trustworthiness {value:.2f} (5 neighbours)"
    assert panels_of(result_of(2)).panels[0].subtitle == "trustworthiness needs 4 different texts"


def test_points_carry_their_numbers_up_to_a_limit() -> None:
    few = panels_of(result_of(MAX_NUMBERED)).panels[0].figure.data[0]
    many = panels_of(result_of(MAX_NUMBERED + 1)).panels[0].figure.data[0]
    assert few.mode == "markers+text"
    assert set(few.text) <= {"", *map(str, range(1, MAX_NUMBERED + 1))}
    assert len([text for text in few.text if text]) > MAX_NUMBERED / 2
    assert many.mode == "markers"
    assert many.text is None


def test_numbers_of_texts_in_one_place_stand_around_it() -> None:
    coordinates = np.zeros((1, 5, 2))
    coordinates[0, 4] = 1
    trace = panels_of(like_umap(coordinates)).panels[0].figure.data[0]
    assert len(set(trace.textposition[:4])) == 4
    assert [name.split()[0] for name in trace.text] == ["1", "2", "3", "4", "5"]


def test_numbers_keep_clear_of_each_other_and_of_the_points() -> None:
    # Points 8 px apart on a panel of 300 px: a number (11 px high) over each would cover its neighbors'.
    coordinates = np.zeros((1, 12, 2))
    coordinates[0, :, 1] = np.arange(12) * 8 / 300
    coordinates[0, 0, 1] = 1 - 2 * 0.07
    trace = panels_of(like_umap(coordinates)).panels[0].figure.data[0]
    placed = [place for name, place in zip(trace.text, trace.textposition, strict=True) if name]
    assert "middle right" in placed
    assert placed[1:].count("top center") <= 1


def test_few_texts_stand_beside_their_points_as_words_and_turned_panels_name_no_components() -> None:
    coordinates = np.array([[[0.0, 0.0], [4.0, 1.0], [1.0, 3.0], [3.0, 4.0]]] * 2)
    panels = panels_of(like_umap(coordinates), ("a", "b", "a", "b")).panels
    assert [trace.text for trace in panels[0].figure.data] == [("1 text 0", "3 text 2"), ("2 text 1", "4 text 3")]
    assert [trace.hovertext for trace in panels[0].figure.data] == ["a", "b"]
    grid = EmbeddingGrid(INSTRUCTIONS, ("a", "b", "c", "d", "e"), None, np.random.default_rng(0).normal(size=(2, 5, 6)))
    first, second = projection_panels(aligned_maps(grid), grid.texts, None, INSTRUCTIONS).panels
    assert "of variance" in first.figure.layout.xaxis.title.text
    assert second.figure.layout.xaxis.title.text is None and second.subtitle.endswith("% of variance")


def test_numbers_that_find_no_free_place_are_left_out() -> None:
    trace = panels_of(like_umap(np.zeros((1, 30, 2)))).panels[0].figure.data[0]
    assert 4 <= len([text for text in trace.text if text]) < 30


def test_many_points_are_drawn_by_webgl() -> None:
    rng = np.random.default_rng(0)
    few = panels_of(like_umap(rng.normal(size=(1, MAX_SVG_POINTS, 2)))).panels[0].figure.data[0]
    many = panels_of(like_umap(rng.normal(size=(1, MAX_SVG_POINTS + 1, 2)))).panels[0].figure.data[0]
    assert isinstance(few, go.Scatter)
    assert isinstance(many, go.Scattergl)


def test_a_label_cannot_bring_markup_into_the_legend() -> None:
    trace = panels_of(result_of(1), ("<b>x</b>",)).panels[0].figure.data[0]
    assert trace.name == "&lt;b&gt;x&lt;/b&gt;"


@pytest.mark.parametrize("n_components", [2, 3])
@pytest.mark.parametrize("n_texts", [0, 1, 2, 3])
def test_very_few_texts_can_be_drawn(n_texts: int, n_components: int) -> None:
    panels = panels_of(result_of(n_texts, n_components))
    assert len(json.loads(panels.to_json())["panels"]) == 2
    assert all(panel.aspect is not None and 0.6 <= panel.aspect <= 1 for panel in panels.panels)


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
    labels = ("", *(f"label {i}" for i in range(1, n)))
    figure = panels_of(like_umap(np.zeros((1, n, 2), dtype=np.float32)), labels).panels[0].figure
    assert len(figure.data) == MAX_TRACES + 2
    assert [trace.name for trace in figure.data[:3]] == ["no label", "further labels", "label 1"]
    assert sorted(item for trace in figure.data for item in trace.customdata) == list(range(n))
