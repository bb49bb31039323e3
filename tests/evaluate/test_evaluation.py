"""A planted model whose answer is known, through the whole evaluation, to Markdown and to JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from instructor_core import InstructorModel
from instructor_core.analysis.suggest import bundled
from instructor_core.evaluate.data import AxisWordings, LabelSet, PairSet, Wordings, read_data, read_wordings
from instructor_core.evaluate.evaluation import evaluate_checkpoint
from instructor_core.evaluate.markdown import to_markdown
from instructor_core.evaluate.reading import reorder
from instructor_core.evaluate.report import (
    Column,
    EvaluationReport,
    InstructionResult,
    Kind,
    Recovery,
    SetResult,
    to_json,
)

COLOURS, SHAPES = ("red", "green", "blue"), ("round", "square")
TEXTS = [f"{colour} {shape} {copy}" for colour in COLOURS for shape in SHAPES for copy in range(4)]
THINGS = LabelSet(
    "things",
    tuple(TEXTS),
    {"colour": tuple(t.split()[0] for t in TEXTS), "shape": tuple(t.split()[1] for t in TEXTS)},
    len(TEXTS),
)
WORDINGS = Wordings(
    {
        "colour": AxisWordings("Represent the thing by colour: ", ("hue ", "nonsense "), ("colour",)),
        "shape": AxisWordings("Represent the thing by shape: ", ("outline ",), ("shape",)),
        "weight": AxisWordings("Represent the thing by weight: ", ("heavy? ",), ("weight",)),
    },
    neutral=("Compare: ",),
    unknown=("Age? ", "nonsense "),
)


class Planted:
    """Follows `looks_at`: instruction -> word of the text that decides; any other instruction gives noise."""

    name = "some/where/planted"

    def __init__(self, looks_at: Mapping[str, int]) -> None:
        self.looks_at = looks_at

    def encode(self, pairs: Sequence[Sequence[str]], /) -> NDArray[np.float32]:
        rows = []
        for instruction, text in pairs:
            noise = np.random.default_rng(sum(text.encode()) * 1000 + int(text[-1]))
            row = 0.05 * noise.normal(size=16)
            word = self.looks_at.get(instruction)
            if word is not None:
                row[(*COLOURS, *SHAPES).index(text.split()[word])] += 1.0
            rows.append(row)
        return np.array(rows, dtype=np.float32)


GOOD = Planted(
    {
        "Represent the thing by colour: ": 0,
        "hue ": 0,
        "Represent the thing by shape: ": 1,
        "outline ": 1,
    }
)
BLIND = Planted(dict.fromkeys([*GOOD.looks_at, ""], 0))  # sees the colour whatever is asked


class Reference:
    name = "teacher"

    def encode(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        return BLIND.encode([("", text) for text in texts])


def test_a_model_that_follows_is_diagonal_dominant_and_scored_one() -> None:
    report = evaluate_checkpoint(GOOD, [THINGS], WORDINGS, reference=Reference())
    (result,) = report.sets
    assert [(row.kind, row.axis, row.instruction) for row in result.rows] == [
        (Kind.PLAIN, "colour", "Represent the thing by colour: "),
        (Kind.FREE, "colour", "hue "),
        (Kind.FREE, "colour", "nonsense "),
        (Kind.PLAIN, "shape", "Represent the thing by shape: "),
        (Kind.FREE, "shape", "outline "),
        (Kind.NONE, "", ""),
        (Kind.REFERENCE, "", ""),
    ]
    assert result.rows[0].scores["colour"].agreement == 1.0
    assert result.rows[0].scores["colour"].v_measure > 0.8
    assert result.rows[3].scores["shape"].agreement == 1.0
    assert result.rows[3].scores["colour"].agreement < 0.7
    assert result.rows[6].scores["colour"].agreement == 1.0
    assert [column.n_labels for column in result.columns] == [3, 2]
    assert result.is_diagonal("agreement") is True
    assert result.is_diagonal("v_measure") is True
    assert "Plain wordings, nearest neighbour: diagonal-dominant." in to_markdown(report)
    assert report.checkpoint == "planted"  # no path
    stored = json.loads(to_json(report))["sets"][0]
    assert stored["rows"][1]["instruction"] == "hue " and stored["diagonal"]["free_v_measure"] is True
    assert stored["rows"][1]["scores"]["colour"]["agreement"] == 1.0


def test_a_model_is_followed_where_both_labels_decide_and_a_blind_one_nowhere() -> None:
    good, blind = (evaluate_checkpoint(model, [THINGS], WORDINGS) for model in (GOOD, BLIND))
    (followed,), (never,) = good.sets[0].followed, blind.sets[0].followed
    # Each of 24 texts: 4 of its colour and the other shape x 8 of its shape and another colour.
    assert followed.columns == ("colour", "shape") and followed.plain.n_triplets == 24 * 4 * 8
    assert followed.plain.both == followed.plain.harmonic == 1
    assert [each.both for each in followed.free] == [1]  # "hue " with "outline "; "nonsense " has no partner
    assert never.plain.both == 0 and never.plain.first == 1 and never.plain.second == 0
    assert "| things: colour and shape | 768 | 1.00 | 1.00 | 1.00 | 1.00 |" in to_markdown(good)
    assert "| mean of the 1 |  | 0.00 | 0.00 | 0.00 | 0.00 |" in to_markdown(blind)
    assert json.loads(to_json(good))["sets"][0]["followed"][0]["plain"]["both"] == 1


def test_a_model_that_ignores_the_instruction_is_told_so_with_the_column_it_loses() -> None:
    confused = Planted({"Represent the thing by colour: ": 1, "Represent the thing by shape: ": 1})
    report = evaluate_checkpoint(confused, [THINGS], WORDINGS)
    (result,) = report.sets
    # Both rows are the same: a tie belongs to the own axis, so this alone is no loss.
    assert result.is_diagonal("agreement") is True
    swapped = Planted({"Represent the thing by colour: ": 1, "Represent the thing by shape: ": 0})
    report = evaluate_checkpoint(swapped, [THINGS], WORDINGS)
    (result,) = report.sets
    assert result.is_diagonal("agreement") is False
    assert result.best_axis(result.columns[0], "agreement") == "shape"
    text = to_markdown(report)
    expected = "not diagonal-dominant: colour (best under shape), shape (best under colour)."
    assert f"Plain wordings, nearest neighbour: {expected}" in text
    assert json.loads(to_json(report))["sets"][0]["diagonal"]["plain_agreement"] is False


def matrix(colour_in_shape: float) -> SetResult:
    columns = (Column("colour", "colour", 3, 24, 0.3), Column("shape", "shape", 2, 24, 0.5))
    rows = (
        InstructionResult(
            Kind.PLAIN, "colour", "c ", {"colour": Recovery(0.9, 0.9), "shape": Recovery(colour_in_shape, 0.1)}
        ),
        InstructionResult(Kind.PLAIN, "shape", "s ", {"colour": Recovery(0.2, 0.2), "shape": Recovery(0.7, 0.6)}),
    )
    return SetResult("m", 24, 24, columns, rows)


def test_dominance_is_decided_by_column_and_by_each_measure_apart() -> None:
    assert matrix(0.69).is_diagonal("agreement") is True
    assert matrix(0.71).is_diagonal("agreement") is False
    assert matrix(0.71).is_diagonal("v_measure") is True
    assert matrix(0.71).is_diagonal("agreement", kind=Kind.FREE) is False  # there are no free rows to dominate
    text = to_markdown(EvaluationReport("x", "", 100, 0, (matrix(0.71),), ()))
    assert "| m: shape | 0.70 / 0.60 | – | – | – | no / yes |" in text
    assert "| colour, plain | **0.90 / 0.90** | 0.71 / 0.10 |" in text


def test_the_summary_gives_the_mean_and_the_lowest_of_the_free_wordings() -> None:
    report = evaluate_checkpoint(GOOD, [THINGS], WORDINGS)
    (result,) = report.sets
    first, second = (score.agreement for score in result.free("colour", "colour"))
    assert first == 1.0
    assert second < 0.6  # the wording that means nothing to this model
    text = to_markdown(report)
    summary = next(line for line in text.splitlines() if line.startswith("| things: colour"))
    cells = [cell.strip() for cell in summary.split("|")]
    assert cells[3].startswith(f"{(first + second) / 2:.2f} / ")
    assert cells[4].startswith(f"{second:.2f} / ")


def test_a_single_kind_of_label_is_compared_with_no_instruction() -> None:
    colours = LabelSet("colours", THINGS.texts, {"colour": THINGS.columns["colour"]}, 24)
    report = evaluate_checkpoint(GOOD, [colours], WORDINGS, n_free=1)
    (result,) = report.sets
    assert result.is_diagonal("agreement") is None
    gain = 1.0 - result.rows[-1].scores["colour"].agreement
    assert f"The plain wording of colour changes colour by {gain:+.2f} by nearest neighbour" in to_markdown(report)


def test_a_label_without_a_second_text_and_an_unknown_kind_of_label() -> None:
    columns = {
        "colour": ("pink", "", *THINGS.columns["colour"][2:]),  # one text alone in its colour, one without
        "price": tuple("cheap" if i % 2 else "dear" for i in range(24)),
    }
    (result,) = evaluate_checkpoint(GOOD, [LabelSet("odd", THINGS.texts, columns, 24)], WORDINGS).sets
    colour, price = result.columns
    assert (colour.n_texts, colour.n_labels, colour.axis) == (22, 3, "colour")
    assert (price.n_texts, price.n_labels, price.axis) == (24, 2, "")
    assert {row.axis for row in result.rows} == {"colour", ""}


def test_plain_similarity_is_measured_under_every_neutral_and_unknown_wording() -> None:
    first = ("red round 0", "green square 1", "blue round 2", "red square 3")
    second = ("red round 1", "blue round 0", "blue square 1", "green round 2")
    pairs = PairSet("sts", first, second, (5.0, 0.0, 5.0, 0.0), 9)
    model = Planted({"": 0, "Compare: ": 0, "Age? ": 1})
    report = evaluate_checkpoint(model, [], WORDINGS, pairs=[pairs], reference=Reference(), seed=5)
    (result,) = report.pairs
    assert result.none > 0.8
    assert result.none == result.neutral["Compare: "] == result.reference
    assert result.unknown["Age? "] < 0.5
    assert set(result.unknown) == {"Age? ", "nonsense "}
    text = to_markdown(report)
    assert "sts: 4 pairs (a sample of the 9, seed 5)" in text
    lowest = min(result.unknown.values())
    assert f"| {result.none:.3f} | {result.none:.3f} / {result.none:.3f} |" in text
    assert f" / {lowest:.3f} |" in text
    assert f"Lowest on sts: {lowest:.3f} under" in text


def test_the_model_card_says_how_often_two_instructions_are_followed(mini: InstructorModel) -> None:
    sets, _ = read_data([bundled("label_sets") / "tense_person.jsonl"])
    text = to_markdown(evaluate_checkpoint(mini, sets, read_wordings(), n_free=0))
    (row,) = (line for line in text.splitlines() if line.startswith("| tense_person: tense and person |"))
    plain = row.split("–")[0]  # without the free wordings, which take a minute
    package = Path(__file__).parents[2]
    for file in ("assets/instructor-mini/README.md", "instructor_core/evaluate/README.md"):
        assert plain in (package / file).read_text(encoding="utf-8")


def test_the_bundled_checkpoint_follows_a_plain_wording(mini: InstructorModel) -> None:
    ((label_set,), _) = read_data([bundled("label_sets") / "topic_sentiment_form.jsonl"], max_texts=48)
    wordings = read_wordings()
    (result,) = evaluate_checkpoint(mini, [label_set], wordings, n_free=0).sets
    sentiment, none = result.plain("sentiment"), result.single(Kind.NONE)
    assert sentiment.scores["sentiment"].agreement > none.scores["sentiment"].agreement
    assert sentiment.scores["topic"].agreement < none.scores["topic"].agreement


def test_a_model_that_reads_order_is_told_from_one_that_reads_key_words() -> None:
    wordings = Wordings(
        {axis: WORDINGS.axes[axis] for axis in ("colour", "shape")}, (), (), ("by {wanted}, never {unwanted}: ",)
    )
    reader = Planted({**GOOD.looks_at, "by colour, never shape: ": 0, "by shape, never colour: ": 1})
    key_words = Planted({**GOOD.looks_at, "by colour, never shape: ": 0, "by shape, never colour: ": 0})
    read, guessed = (evaluate_checkpoint(model, [THINGS], wordings) for model in (reader, key_words))
    assert [(each.columns, each.wanted) for each in read.sets[0].contrasts] == [
        (("colour", "shape"), (1.0,)),
        (("shape", "colour"), (1.0,)),
    ]
    assert guessed.sets[0].contrasts[1].unwanted == (1.0,)  # the colour, though the shape was wanted
    assert "| things: shape, not colour | 1.00 | 1.00 |" in to_markdown(read)


def test_words_in_another_order_are_compared_with_the_wording() -> None:
    report = evaluate_checkpoint(BLIND, [THINGS], replace(WORDINGS, contrasts=("{wanted} over {unwanted}: ",)))
    shuffled = report.sets[0].shuffled
    assert shuffled.between_axes == pytest.approx(1)  # it sees the colour under both
    assert shuffled.lowest < 0.5  # and noise under words that it does not know
    assert f"| things | {shuffled.mean:.3f} | {shuffled.lowest:.3f} | 1.000 |\n" in to_markdown(report)
    assert reorder("one ") is None
    assert sorted(str(reorder("not this but that")).split()) == ["but", "not", "that", "this"]
