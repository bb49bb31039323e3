"""Every view of the page works with every family, or says in a sentence why it cannot."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from instructor_core.analysis.attribution import ledger
from instructor_core.analysis.pooled import blocks, compare_mistakes, make_mistakes
from instructor_core.analysis.pooling import Mistake, Recipe
from instructor_core.encoder import Segment
from instructor_core.errors import UserError
from instructor_core.families import open_checkpoint
from instructor_core.hub import local_checkpoint
from instructor_core.ui.data.examples import load_examples
from instructor_core.ui.data.export_menu import code
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.data.text_warnings import text_warnings
from instructor_core.ui.demo import build_demo, facts
from instructor_core.ui.learn.lessons import judge, load_lessons
from instructor_core.ui.look.canvas import Context, Drawing
from instructor_core.ui.look.views import VIEWS, view_of
from instructor_core.ui.page import Selected
from instructor_core.ui.scene.selection import describe_why
from instructor_core.ui.server.progress import finish
from instructor_core.ui.server.runtime import Runtime
from instructor_core.ui.trial.closer import EXPERIMENTS
from instructor_core.ui.trial.comparison import Request, ScoreBook
from tests.families.checkpoints import RECIPES
from tests.ui.inside import options_of

ONE_TOKEN, PROMPT_POOLED = {"bge", "qwen"}, {"e5", "gemma", "gemma-2", "nomic"}
Draw = Callable[..., Drawing]


@pytest.fixture(scope="module")
def opened(family_folders: dict[str, Path]) -> Callable[[str], Runtime]:
    runtimes = {family: Runtime((local_checkpoint(folder),), device="cpu") for family, folder in family_folders.items()}
    return runtimes.__getitem__


@pytest.fixture(scope="module")
def draw(opened: Callable[[str], Runtime]) -> Draw:
    """Draws a view of the first example by a family's checkpoint, with the options that the page has at first."""

    def drawn(family: str, tab: str, name: str, template: str = "") -> Drawing:
        runtime = opened(family)
        return view_of(tab, name).draw(Context(runtime, example(runtime, template), Selected(0, 8), options))

    options = {**options_of(build_demo(opened("e5"))), "explain.second_instruction": 1}
    return drawn


def example(runtime: Runtime, template: str = "") -> Inputs:
    inputs = load_examples()[0].inputs(runtime.checkpoints[0].id)
    return replace(inputs, checkpoint_id=f"{inputs.checkpoint_id}\n{template}") if template else inputs


@pytest.mark.parametrize("family", RECIPES)
def test_every_view_is_drawn_or_says_why_not(family: str, draw: Draw) -> None:
    refused = {}
    for view in VIEWS:
        try:
            drawing = draw(family, view.tab, view.name)
        except UserError as error:
            refused[view.name] = str(error)
        else:
            assert drawing.panels is not None or drawing.sentences
    reasons = {"writes": "Who wrote a cosine is known of INSTRUCTOR's T5 alone"}
    if "divergence" in refused:  # where a piece goes over the joint, or a text is cut off at another place
        reasons["divergence"] = "Layer by layer comparison needs the same text tokens under both instructions"
    assert set(refused) == set(reasons)
    assert all(refused[name].startswith(reason) for name, reason in reasons.items())


@pytest.mark.parametrize("family", sorted(ONE_TOKEN))
def test_of_one_pooled_token_the_ledger_is_one_cell_and_words_are_deleted(family: str, draw: Draw) -> None:
    pair, deletion = draw(family, "explain", "pair"), draw(family, "explain", "deletion")
    assert pair.panels is None and "the ledger is one cell, the whole cosine of" in pair.sentences[0]
    assert "all that a word does, it does through attention" in deletion.sentences[1]
    assert deletion.panels is not None


@pytest.mark.parametrize("family", sorted(PROMPT_POOLED))
def test_where_the_instruction_is_pooled_its_part_is_said_and_no_move_is_split(family: str, draw: Draw) -> None:
    assert (
        "comes from the instruction's own tokens, which are in both means"
        in draw(family, "explain", "pair").sentences[1]
    )
    moved = draw(family, "explain", "movement")
    assert moved.panels is None and "Its move cannot be split by token" in moved.sentences[0]
    assert "mean of all rows, those of the instruction too" in draw(family, "tokens", "dimensions").note[0]


def test_the_four_blocks_are_sums_over_the_tokens_of_each_kind(family_folders: dict[str, Path]) -> None:
    model = open_checkpoint(family_folders["gemma"], "cpu")
    first, second = model.encode_tokens([("clustering", "The soup was cold."), ("clustering", "Who wrote this?")])
    found = blocks(ledger(first, second, by="word"))
    # By hand: the cosine's share of every pair of tokens, added up by what the two stand for.
    scale = np.linalg.norm(first.embedding) * np.linalg.norm(second.embedding) * first.n_encoded * second.n_encoded
    shares = first.projected.astype(float) @ second.projected.T.astype(float) / scale
    kinds = (Segment.INSTRUCTION, Segment.TEXT)
    for i, one in enumerate(kinds):
        for j, other in enumerate(kinds):
            inside = np.outer([s is one for s in first.segments], [s is other for s in second.segments])
            assert found[i, j] == pytest.approx(float(shares[inside].sum()), abs=1e-5)


@pytest.mark.parametrize("family", RECIPES)
def test_mistakes_are_measured_against_the_right_vector(family: str, family_folders: dict[str, Path]) -> None:
    model = open_checkpoint(family_folders[family], "cpu")
    pair = ("Represent the review for its topic:", "The soup was cold.")
    found = {result.recipe: result for result in compare_mistakes(model.encode_tokens(make_mistakes(*pair)))}
    right, alone, plain = model.encode([pair, ("", pair[1]), (f"{pair[0]} {{text}}", pair[1])])
    assert found[Recipe.OURS].cosine == pytest.approx(1.0)
    assert found[Mistake.PROMPT_FORGOTTEN].cosine == pytest.approx(float(right @ alone), abs=1e-5)
    if family not in ("bge", "new"):  # whose string is the instruction as it is typed
        assert found[Mistake.TEMPLATE_FORGOTTEN].cosine == pytest.approx(float(right @ plain), abs=1e-5)
    own = {"mean": Mistake.MEAN_OF_ALL, "cls": Mistake.FIRST_TOKEN, "lasttoken": Mistake.LAST_TOKEN}
    layout = model.layout  # type: ignore[union-attr]
    assert (own[layout.pooling] in found) == (not layout.pools_prompt)
    length = float(found[Mistake.NOT_NORMALIZED].note.partition("length is ")[2].partition(":")[0])
    assert length == pytest.approx(np.linalg.norm(model.encode([pair], normalize=False)), rel=1e-3)


def test_the_page_says_what_a_checkpoint_is_and_how_to_use_it(opened: Callable[[str], Runtime], draw: Draw) -> None:
    runtime = opened("qwen")
    inputs = example(runtime)
    assert "32-d · fp32 · cpu · qwen3, last token" in facts(runtime, inputs)
    assert r"open_checkpoint('path/to/Qwen3-Embedding-0.6B', template='Instruct: {instruction}\nQuery:{text}')" in code(
        runtime, inputs
    )
    assert "the whole of it is of one token" in describe_why(runtime, inputs, Selected(0, 8))
    long = replace(inputs, texts=("word " * 200,), labels=None, more_labels=())
    (warning,) = text_warnings(runtime.encoder(inputs.checkpoint_id), long)
    assert "the window ends after 80 tokens" in warning
    assert "Before the text stands `Instruct: " in draw("qwen", "explain", "boundary").sentences[0]


def test_a_template_of_ones_own_is_used_everywhere_and_never_mixed_up(
    opened: Callable[[str], Runtime], draw: Draw, small_runtime: Runtime
) -> None:
    runtime, template = opened("gemma"), "About {instruction}\n{text}"
    own, other = (runtime.grid(example(runtime, given)).embeddings for given in ("", template))
    inputs = example(runtime)
    model = open_checkpoint(runtime.checkpoints[0].source, "cpu", template=template)
    expected = model.encode(inputs.pairs).reshape(other.shape)
    np.testing.assert_allclose(other, expected, atol=1e-5)
    assert np.abs(own - other).max() > 1e-3
    np.testing.assert_allclose(own, runtime.grid(replace(inputs, labels=None)).embeddings, atol=1e-6)
    for view in VIEWS:
        if view.name != "writes":
            draw("gemma", view.tab, view.name, template)
    assert "`About Represent the review" in draw("gemma", "explain", "boundary", template).sentences[0]
    assert "About {instruction}" in code(runtime, example(runtime, template))
    with pytest.raises(ValueError, match="a place for the instruction"):
        runtime.grid(example(runtime, "Task: {text}"))
    with pytest.raises(UserError, match="takes no template"):  # INSTRUCTOR
        small_runtime.grid(example(small_runtime, "About {instruction}: {text}"))


def test_test_answers_with_a_checkpoint_of_another_family(opened: Callable[[str], Runtime]) -> None:
    runtime = opened("qwen")
    for name in ("scores", "words", "retrieve"):  # the others see vectors alone
        finding = finish(EXPERIMENTS[name](runtime, ScoreBook(), example(runtime), Request()))
        assert finding.sentences and finding.panels.panels


@pytest.mark.parametrize("family", ["gemma", "bge", "qwen"])
def test_lessons_on_tokens_and_layers_are_judged_or_say_why_not(family: str, opened: Callable[[str], Runtime]) -> None:
    runtime, refused = opened(family), set()
    steps = [step for lesson in load_lessons() for step in lesson.steps if step.choices]
    for step in (step for step in steps if step.tab in ("tokens", "explain")):
        try:
            assert judge(runtime.encoder(runtime.checkpoints[0].id), step, runtime.checkpoints[0].id, 0).words
        except UserError as error:
            refused.add(str(error).partition(" needs the same")[0].partition(" is known of")[0])
    pooled = {"The move of a text", "Layer by layer comparison"} if family == "gemma" else set[str]()
    assert refused == {"Who wrote a cosine"} | pooled
