"""The smaller figures of the lab: variance, ranks, calibration, retrieval, morph."""

import json
from dataclasses import replace

import numpy as np
import pytest

from instructor_core.analysis.calibration import background, percentile_matrices
from instructor_core.analysis.grid import EmbeddingGrid
from instructor_core.analysis.morph import Morph, morph
from instructor_core.analysis.ranks import neighbor_ranks, rank_flips
from instructor_core.analysis.retrieval import retrieve
from instructor_core.analysis.similarity import similarity
from instructor_core.analysis.variance import variance_split
from instructor_core.figures.morph import N_STEPS, morph_panels
from instructor_core.figures.ranks import bump_panels, flip_panels, rank_change_panels, result_panels
from instructor_core.figures.similarity import calibration_panels, similarity_panels
from instructor_core.figures.variance import variance_panels

TEXTS = tuple(f"text <i>{i}</i>" for i in range(10))
INSTRUCTIONS = ("topic <b>", "", "mood")
LABELS = ("a", "", "b", "a", "b") * 2


@pytest.fixture(scope="module")
def grid() -> EmbeddingGrid:
    return EmbeddingGrid(INSTRUCTIONS, TEXTS, None, np.random.default_rng(0).normal(size=(3, 10, 6)))


@pytest.fixture(scope="module")
def moved(grid: EmbeddingGrid) -> Morph:
    few = EmbeddingGrid(INSTRUCTIONS, TEXTS[:7], None, grid.vectors[:, :7])  # too few for UMAP, which takes seconds
    return morph(few, 0, 2, floor=0.5, k=3)


def test_the_variance_bar_shows_the_three_shares_of_the_whole(grid: EmbeddingGrid) -> None:
    panels = variance_panels(variance_split(grid.embeddings))
    shown = [trace.x[0] for trace in panels.panels[0].figure.data]
    assert shown == list(variance_split(grid.embeddings).shares) and "unit vectors" in panels.alt


def test_flips_are_points_by_both_leads_and_grey_under_the_floor(grid: EmbeddingGrid) -> None:
    matrices = similarity(grid).matrices
    floor = float(np.median([f.margin for f in rank_flips(matrices[0], matrices[2]).flips]))
    result = rank_flips(matrices[0], matrices[2], floor=floor)
    panels = flip_panels(result, 0, 2)
    quiet, loud = panels.panels[0].figure.data
    assert len(quiet.x) + len(loud.x) == len(result.flips)
    assert min(*loud.x, *loud.y) > floor
    assert all(min(pair) <= floor for pair in zip(quiet.x, quiet.y, strict=True))
    assert len(panels.panels[0].figure.layout.shapes) == 2
    assert "under A" in loud.customdata[0]
    assert "under C" in loud.customdata[0]


def test_each_neighbor_is_a_line_of_its_places_linked_to_its_text(grid: EmbeddingGrid) -> None:
    result = neighbor_ranks(similarity(grid).matrices[:, 4], 4, top=2)
    panels = bump_panels(result, TEXTS)
    figure = panels.panels[0].figure
    for column, trace in enumerate(figure.data):
        assert list(trace.y) == result.ranks[:, column].tolist()
        assert set(trace.customdata) == {int(result.shown[column])}
        assert trace.meta == {"kind": "points"}
    assert list(figure.layout.xaxis.ticktext) == ["A", "B", "C"]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the nearest on top


def test_backgrounds_are_curves_on_one_axis_with_their_median_marked(grid: EmbeddingGrid) -> None:
    backgrounds = [background(vectors, [str(i) for i in range(10)]) for vectors in grid.vectors]
    panels = calibration_panels(backgrounds, INSTRUCTIONS)
    assert [panel.key for panel in panels.panels] == ["A curve", "B curve", "C curve"]
    assert len({panel.figure.layout.xaxis.range for panel in panels.panels}) == 1
    for each, panel in zip(backgrounds, panels.panels, strict=True):
        assert panel.figure.layout.shapes[0].x0 == pytest.approx(np.median(each.cosines))
        assert panel.figure.data[0].y[-1] == 100


def test_percentiles_colour_the_cells_and_the_numbers_stay_cosines(grid: EmbeddingGrid) -> None:
    result = similarity(grid)
    backgrounds = [background(vectors, [str(i) for i in range(10)]) for vectors in grid.vectors]
    percentiles = percentile_matrices(result.matrices, backgrounds)
    order = list(range(9, -1, -1))
    panels = similarity_panels(result, TEXTS, None, INSTRUCTIONS, order=order, percentiles=percentiles)
    for k, panel in enumerate(panels.panels):
        (heatmap,) = panel.figure.data
        np.testing.assert_allclose(heatmap.z, percentiles[k][np.ix_(order, order)], atol=0.051)
        np.testing.assert_allclose(heatmap.text, result.matrices[k][np.ix_(order, order)], atol=0.0051)
        assert heatmap.meta["value"] == "percentile"
    assert (panels.scale.low, panels.scale.high) == (0, 100)


def test_results_stand_in_the_order_of_their_scores_and_a_change_of_ranks_draws_what_is_first() -> None:
    rng = np.random.default_rng(0)
    found = retrieve(rng.normal(size=(2, 6)), rng.normal(size=(10, 6)))
    relevant = np.zeros((2, 10), dtype=bool)
    relevant[1, found.order[1, 2]] = True
    panels = result_panels(found, 1, ("q", "<q2>"), TEXTS, relevant=relevant, top=4)
    (trace,) = panels.panels[0].figure.data
    assert list(trace.customdata) == found.order[1, :4].tolist()
    assert list(trace.marker.symbol) == ["circle-open", "circle-open", "circle", "circle-open"]
    assert "1 of 1 marked ones among them" in panels.panels[0].subtitle
    assert all("<" not in tick for tick in panels.panels[0].figure.layout.yaxis.ticktext)
    rows = [3, *range(5, 14)]  # the documents are some of the texts, and keep their numbers
    texts = [f"text {i}" for i in range(14)]
    panels = result_panels(found, 1, ("q", "q2"), texts, rows=rows, top=4)
    numbers = [rows[d] for d in found.order[1, :4]]
    (trace,) = panels.panels[0].figure.data
    assert list(trace.customdata) == numbers
    assert list(panels.panels[0].figure.layout.yaxis.ticktext) == [f"{n + 1}  text {n}" for n in numbers]
    rng = np.random.default_rng(0)
    before, after = (retrieve(rng.normal(size=(1, 6)), rng.normal(size=(10, 6))) for _ in range(2))
    panels = rank_change_panels(before, after, 0, ("query",), TEXTS, top=3)
    shown = {trace.customdata[0]: list(trace.y) for trace in panels.panels[0].figure.data}
    assert set(shown) == {*before.order[0, :3].tolist(), *after.order[0, :3].tolist()}
    assert all(ranks == [before.ranks[0, d], after.ranks[0, d]] for d, ranks in shown.items())


def test_the_slider_runs_from_the_first_map_to_the_second(moved: Morph) -> None:
    panels = morph_panels(moved, TEXTS[:7], LABELS[:7], INSTRUCTIONS)
    figure = panels.panels[0].figure
    assert len(figure.frames) == N_STEPS + 1
    steps = figure.layout.sliders[0].steps
    assert [step.args[0][0] for step in steps] == [frame.name for frame in figure.frames]
    assert (steps[0].label, steps[-1].label) == ("A", "C")
    for frame, coordinates in ((figure.frames[0], moved.coordinates[0]), (figure.frames[-1], moved.coordinates[1])):
        for trace, part in zip(figure.data[1:], frame.data, strict=True):
            np.testing.assert_allclose(part.x, coordinates[list(trace.customdata), 0])
            np.testing.assert_allclose(part.y, coordinates[list(trace.customdata), 1])
    assert list(figure.frames[0].traces) == list(range(1, len(figure.data)))
    assert sorted(i for trace in figure.data[1:] for i in trace.customdata) == list(range(7))
    assert json.loads(panels.to_json())["panels"][0]["figure"]["frames"]


def test_arrows_stand_only_where_the_neighborhood_changes_beyond_the_floor(moved: Morph) -> None:
    arrows = morph_panels(moved, TEXTS[:7], None, INSTRUCTIONS).panels[0].figure.data[0]
    ends = {(round(x, 5), round(y, 5)) for x, y in zip(arrows.x[1::3], arrows.y[1::3], strict=True)}
    expected = {tuple(np.round(moved.coordinates[1, i].astype(float), 5)) for i in np.flatnonzero(moved.changed)}
    assert 0 < len(expected) < 7
    assert ends == expected
    still = morph_panels(replace(moved, changed=np.zeros(7, dtype=bool)), TEXTS[:7], None, INSTRUCTIONS)
    assert not still.panels[0].figure.data[0].x
    assert "0 of 7 texts change" in still.panels[0].subtitle
