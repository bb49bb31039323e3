"""The experiments of the Lab: what they encode, what they refuse, and that their words come from the numbers."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from instructor_core import InstructorModel
from instructor_core.analysis.label_task import Metric
from instructor_core.analysis.labels import label_issues
from instructor_core.analysis.numbers import signed
from instructor_core.analysis.retrieval import p_mrr, retrieve
from instructor_core.analysis.suggest import load_builder
from instructor_core.errors import UserError
from instructor_core.figures import theme
from instructor_core.figures.charts import one_line
from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.data.examples import load_examples
from instructor_core.ui.data.inputs import Inputs, parse_texts
from instructor_core.ui.page import Selected
from instructor_core.ui.scene import Scene
from instructor_core.ui.scene.link import decode_scene, encode_scene
from instructor_core.ui.scene.stage import Words
from instructor_core.ui.server.progress import describe, finish
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial import TAB, comparison
from instructor_core.ui.trial.boards import compare_instructions
from instructor_core.ui.trial.closer import EXPERIMENTS, Experiment
from instructor_core.ui.trial.comparison import Finding, Request, ScoreBook, candidates_of, subject
from instructor_core.ui.trial.decision import (
    DecisionView,
    decide,
    merge_buttons,
    merge_labels,
    save_rows,
    show_decision,
    table_html,
)
from instructor_core.ui.trial.effects import compare_label_columns
from instructor_core.ui.trial.search import search

OPTIONS = {
    **dict.fromkeys(("lab.question", "lab.candidates", "lab.queries")),
    **{"lab.metric": "ACCURACY", "lab.first": 0, "lab.second": 1, "lab.row": "", "lab.many": ""},
}
INPUTS = load_examples()[0].inputs(CHECKPOINTS[0].id)


def answer(
    experiment: Experiment, runtime: Runtime, inputs: Inputs, request: Request, book: ScoreBook | None = None
) -> tuple[Finding, list[str]]:
    """The finding of an experiment and the lines of progress on the way."""
    lines: list[str] = []
    finding = finish(describe(experiment(runtime, book or ScoreBook(), inputs, request), lines.append))
    return finding, lines


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_every_experiment_reports_progress_and_answers(runtime: Runtime, experiment: Experiment) -> None:
    finding, lines = answer(experiment, runtime, INPUTS, Request())
    assert lines
    assert finding.how_to_read and finding.sentences[0]
    assert finding.panels.panels
    json.loads(finding.panels.to_json())


def test_an_added_candidate_is_the_only_one_that_is_encoded_and_scored(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = ScoreBook()
    answer(compare_instructions, runtime, INPUTS, Request(), book)
    model = runtime.encoder(INPUTS.checkpoint_id).model
    encoded: list[str] = []
    scored: list[int] = []
    encode, score = model.encode, comparison.score_texts
    monkeypatch.setattr(
        model, "encode", lambda pairs, **options: encoded.extend(i for i, _ in pairs) or encode(pairs, **options)
    )
    monkeypatch.setattr(comparison, "score_texts", lambda *given: scored.append(1) or score(*given))
    new = "Represent the remark for its mood and weather: "
    answer(compare_instructions, runtime, INPUTS, Request(candidates=new), book)
    assert set(encoded) == {new}
    assert len(scored) == 1


def test_candidates_are_instructions_and_typed_lines_each_once_and_texts_without_labels_are_refused(
    runtime: Runtime,
) -> None:
    typed = f"{INPUTS.instructions[0].strip()}\n\nSomething else:"
    assert candidates_of(INPUTS, typed) == (*INPUTS.instructions, "Something else: ")
    with pytest.raises(UserError, match=r"24 candidates.*40"):
        candidates_of(replace(INPUTS, instructions=()), "\n".join(f"i{n}:" for n in range(40)))
    for experiment in (compare_instructions, compare_label_columns):
        with pytest.raises(UserError, match="label"):
            answer(experiment, runtime, replace(INPUTS, labels=None), Request())


def test_rows_have_the_letters_of_the_page_and_are_named_by_what_their_instructions_are_about(runtime: Runtime) -> None:
    first, second = INPUTS.instructions
    inputs = replace(INPUTS, instructions=(first, "", first, second))
    finding, _ = answer(compare_instructions, runtime, inputs, Request(candidates="Mood:"))
    found = {str(row[1]).strip(): row[0] for row in finding.table if row[0] in "ABCDE"}
    assert found == {first.strip(): "A", second.strip(): "D", "Mood:": "E"}
    traces = finding.panels.panels[0].figure.data
    assert {theme.accent(0), theme.accent(3), theme.accent(4)} < {trace.marker.color for trace in traces}
    typed = "Tell apart happy and unhappy customers of restaurants and hotels:"
    finding, _ = answer(compare_instructions, runtime, INPUTS, Request(candidates=typed))
    names = list(finding.panels.panels[0].figure.layout.yaxis.ticktext)
    assert {"A topic", "B sentiment", "empty", "shuffled", "unrelated"} < set(names)
    assert any(name.startswith("C Tell apart happy and unhappy") and name.endswith("…") for name in names)


def test_two_label_columns_are_won_by_the_instructions_that_name_them(runtime: Runtime) -> None:
    topics = tuple(("food", "film", "hotel", "device")[at // 4] for at in range(16))
    two = replace(INPUTS, more_labels=(topics,))
    finding, _ = answer(compare_label_columns, runtime, two, Request(metric=Metric.ACCURACY))
    values = np.asarray(finding.panels.panels[0].figure.data[0].z)
    assert values.shape == (2, 2)
    assert values[:, 0].argmax() == 1 and values[:, 1].argmax() == 0
    assert finding.sentences[1].startswith("With B for labels 1 and A for labels 2, ")
    named, _ = answer(compare_label_columns, runtime, two, Request(metric=Metric.ACCURACY, columns=("mood",)))
    assert named.sentences[1].startswith("With B for mood and A for labels 2, ")
    assert "of 192 triplets" in finding.sentences[1]  # each of 16 texts: 6 of its sentiment x 2 of its topic
    same = replace(INPUTS, more_labels=(INPUTS.labels or (),))
    assert "got none among 16 texts" in answer(compare_label_columns, runtime, same, Request())[0].sentences[1]


@pytest.mark.parametrize("own", [INPUTS.instructions, ("Represent the review for classifying the weather: ",)])
def test_snippet_and_rows_follow_the_decision_and_a_link_to_many_wordings_finds_it_again(
    runtime: Runtime, own: tuple[str, ...], tmp_path: Path
) -> None:
    inputs = replace(INPUTS, instructions=own)
    book = ScoreBook()
    shared, _ = decode_scene(encode_scene(Scene(inputs, TAB, label_name="mood")), checkpoints=[inputs.checkpoint_id])
    words = Words(shared.inputs.texts, label_name=shared.label_name)

    def decided_with(many: str) -> DecisionView:
        options = OPTIONS | {"lab.many": many}
        *_, last = decide(runtime, book, list(options), None, TAB, inputs, Selected(), words, *options.values())
        return last  # type: ignore[no-any-return]

    last = decided_with("")
    rows, instruction = last.rows, last.instruction
    assert ("Use no instruction" in last.findings) is (own != INPUTS.instructions) is (instruction == "")
    names: dict[str, object] = {}
    exec(last.snippet["value"], names)
    vectors = np.asarray(names["embeddings"])
    assert names["instruction"] == instruction
    assert vectors.shape == (1, 384) and np.linalg.norm(vectors) == pytest.approx(1, abs=1e-5)
    path, _ = save_rows(runtime, tmp_path, inputs, rows)
    with open(path, encoding="utf-8-sig", newline="") as file:
        used = [row for row in csv.reader(file) if row[2:3] == ["use"]]
    assert [row[1] for row in used] == [one_line(instruction)]
    many = decided_with(subject(replace(inputs, instructions=("others",))))
    panel = json.loads(many.plots)["panels"][0]
    assert " wordings of " in panel["title"] and "mood" in panel["figure"]["layout"]["yaxis"]["ticktext"]
    assert many.key != last.key
    assert "more tries ask for more texts" not in many.line


def test_retrieval_marks_texts_by_their_labels(runtime: Runtime) -> None:
    inputs = load_examples()[4].inputs(CHECKPOINTS[0].id)
    queries = "\n".join(
        f"{text}\t{label}" for text, label in zip(inputs.texts[:8], (inputs.labels or ())[:8], strict=True)
    )
    finding, _ = answer(search, runtime, inputs, Request(queries=queries))
    assert finding.sentences[0] == "8 queries under A, 8 texts under B."
    assert "over 8 queries with marked texts" in finding.sentences[1]


def test_search_with_two_kinds_of_label_says_whether_texts_move_as_the_second_instruction_asks(
    runtime: Runtime, mini: InstructorModel
) -> None:
    topics, moods = np.repeat(["food", "film", "hotel", "device"], 4), np.array(INPUTS.labels)
    two = replace(INPUTS, more_labels=(tuple(topics),))  # A asks for the second labels, the topics
    finding, _ = answer(search, runtime, two, Request(text=0))
    vectors = [mini.encode([(instruction, text) for text in INPUTS.texts]) for instruction in INPUTS.instructions]
    before, after = (retrieve(each[:1], each[1:]) for each in vectors)
    below = p_mrr(before, after, ((topics == topics[0]) & (moods != moods[0]))[None, 1:])
    above = p_mrr(before, after, ((topics != topics[0]) & (moods == moods[0]))[None, 1:])
    said = f"{signed(below, 2)} if A asks for labels 2 and B for labels 1"
    other = f"{signed(above, 2)} if A asks for labels 1 and B for labels 2"
    assert f"p-MRR from A to B, each on both sides: {other}; {said}." in finding.sentences[2]
    assert below > 0.3 > 0 > above
    same = replace(two, instructions=(INPUTS.instructions[0], INPUTS.instructions[0]))
    blind, _ = answer(search, runtime, same, Request(text=0))
    assert ": 0.00 if A asks for labels 1 and B for labels 2; 0.00 if" in blind.sentences[2]
    with pytest.raises(UserError, match="All texts are queries"):
        answer(search, runtime, INPUTS, Request(queries="\n".join(INPUTS.texts)))


def test_two_spellings_of_a_label_are_left_out_offered_and_merged_on_request(runtime: Runtime) -> None:
    labels = ["Positive", *(INPUTS.labels or ())[1:-1], ""]
    inputs = replace(INPUTS, labels=tuple(labels))
    finding, _ = answer(compare_instructions, runtime, inputs, Request())
    said = " ".join(finding.sentences)
    assert "14 of 16 texts used; left out: 1 text without a label, 1 label with one text (Positive)." in said
    assert 'merge "Positive" (1) into "positive"?' in said
    (merge,) = label_issues(inputs.labels).merges
    assert "data-chip='0'>merge Positive (1) into positive<" in merge_buttons([merge])
    typed, line = merge_labels(inputs, 0)
    assert parse_texts(typed)[1][0] == ("positive", *labels[1:])
    assert "Merged" in line
    assert "No two labels" in merge_labels(inputs, 1)[1]


def test_many_wordings_are_decided_among_and_drawn_by_task(runtime: Runtime) -> None:
    inputs = replace(INPUTS, instructions=("Represent the review for classifying the weather: ",))
    alone, _ = answer(compare_instructions, runtime, inputs, Request())
    finding, lines = answer(compare_instructions, runtime, inputs, Request(many=True, columns=("mood",)))
    assert alone.sentences[0].startswith("Use no instruction") and alone.step
    n_tasks = 2 + len({entry.axis for entry in load_builder().objectives if entry.mini})  # its own, and the two labels
    n = 5 * n_tasks
    assert alone.cost.startswith(f"{n} wordings of {n_tasks} tasks, about ") and finding.cost == ""
    assert alone.cost.endswith(f": the best of {n} must win at least 11 of these 16, that of 1 only 3.")
    # Whether a lead of 10 in 16 is luck where so many are tried, tests/analysis/test_decision.py says.
    named = finding.instruction.strip()
    assert (f'Use "{named}"' if named else f"none of the {n + 5} tried is") in finding.sentences[0]
    assert any("pairs" in line for line in lines)
    figure = finding.panels.panels[0].figure
    rows = list(figure.layout.yaxis.ticktext)
    assert {"weather", "mood", "sentiment", "negative or positive", "shuffled", "unrelated"} <= set(rows)
    dots = {rows[trace.y[0]]: list(trace.x) for trace in figure.data if len(trace.x) > 1}
    assert len(dots["sentiment"]) == 5
    own = next(trace for trace in figure.data if trace.y[0] == rows.index("weather"))
    assert own.marker.color[-1] == theme.accent(0) and "classifying the weather:" in own.customdata[-1]
    assert finding.table is not None and len(finding.table) == 5  # A, the best wording, three controls
    assert finding.step.startswith("Next: ")


def test_the_decision_is_shown_first_with_one_next_step_and_no_verdict_twice(runtime: Runtime) -> None:
    finding, _ = answer(compare_instructions, runtime, INPUTS, Request())
    shown = show_decision(finding, key=None)
    assert shown.findings.startswith('<div class="ic-findings"><p>Use &quot;') and shown.findings.count("<li>") == 1
    table = shown.table
    assert table.count("<tr>") == 1 + len(finding.table or []) and "not distinguishable" not in table
    assert table.count("class='ic-number'") == 0 and table.count('<td class="ic-number">') == 5 * len(
        finding.table or []
    )
    assert '<td class="ic-number">1.00</td>' in table
    assert "<b>" not in table_html([["<b>", "<b>", "", 0.5, "", ""]])
