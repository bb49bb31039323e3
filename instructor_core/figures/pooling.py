"""The boundary inspector: which tokens are averaged under the pooling recipes that users meet, and what comes out."""

from __future__ import annotations

from collections.abc import Sequence

from instructor_core.analysis.numbers import number
from instructor_core.analysis.pooling import Boundary, Recipe, RecipeResult
from instructor_core.analysis.units import EncodedPair
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL, bars, unit_bars
from instructor_core.figures.panels import ColorScale, Panel, PanelSet
from instructor_core.figures.token_rows import Token, TokenRow, TokenRows

NOT_SHOWN = (
    "It does not run the other packages: it averages the tokens that they average, over the string that they see, "
    "with this checkpoint. Which recipe serves a task best is not shown either."
)

MISTAKES_NOT_SHOWN = (
    "All else is right in each of them: network, linear layers, and what the mistake is not about. How much a mistake "
    "costs in a task is not shown; how near texts still lie to each other under it is another question."
)

_JOINT_MARK = "␣"
_SAME = 5e-6  # cosines that differ from 1 by less are printed as equal


def boundary_rows(pair: EncodedPair, found: Boundary, *, title: str, instruction: int) -> TokenRows:
    """All tokens of a pair, the cut-off ones too, told apart by segment."""
    tokens = tuple(
        Token(token, str(segment), None, i, _place(pair, i))
        for i, (token, segment) in enumerate(zip(pair.tokens, pair.segments, strict=True))
    )
    return TokenRows((TokenRow(title, tokens, instruction, window_sentence(found)),))


def recipe_rows(results: Sequence[RecipeResult]) -> TokenRows:
    """One row of tokens per recipe, each averaged token with its weight in the mean."""
    rows = []
    highest = 0.0
    for result in results:
        count = int(result.averaged.sum())
        weight = 1 / count if count else 0.0
        highest = max(highest, weight)
        tokens = tuple(
            Token(token, segment, weight if averaged else None, i, "averaged" if averaged else "not averaged")
            for i, (token, segment, averaged) in enumerate(
                zip(result.tokens, result.segments, result.averaged.tolist(), strict=True)
            )
        )
        rows.append(TokenRow(str(result.recipe), tokens, note=recipe_sentence(result)))
    return TokenRows(tuple(rows), ColorScale(theme.SEQUENTIAL, 0.0, highest or 1.0, "weight in the mean"))


def recipe_panels(results: Sequence[RecipeResult]) -> PanelSet:
    """Bars of `1 - cosine` to our embedding, one per recipe; none where a recipe gives no embedding."""
    names = [str(result.recipe) for result in results]
    known = [(i, result) for i, result in enumerate(results) if result.cosine is not None]
    tips = [f"{names[i]}\n{recipe_sentence(result)}" for i, result in known]
    values = [max(1 - (result.cosine or 0.0), 0.0) for _, result in known]
    drawn = bars(values, tips, NEUTRAL, y=[i for i, _ in known])
    figure = unit_bars(names, [drawn], title="1 − cosine to this app's embedding")
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(ticktext=[theme.escape(name) for name in names])
    sentences = " ".join(f"{result.recipe}: {recipe_sentence(result)}" for result in results)
    alt = f"Cosine to this app's embedding. {sentences}"
    return PanelSet((Panel("recipes", "Other ways to pool", figure),), alt=alt)


def recipe_sentence(result: RecipeResult) -> str:
    """Cosine to our embedding, or why there is none."""
    if result.cosine is None:
        return result.note
    if result.recipe is Recipe.OURS:
        return "What all others are compared with."
    same = 1 - result.cosine < _SAME
    words = "The same embedding." if same else f"Cosine {number(result.cosine, 5)}."
    return f"{words} {result.note}".rstrip()


def prompt_sentence(prompt: str) -> str:
    """What stands before the text."""
    shown = prompt.replace("\n", "⏎")
    return (
        f"Before the text stands `{shown}`." if prompt else "Nothing stands before the text: no instruction is given."
    )


def window_sentence(found: Boundary) -> str:
    """How many tokens each part takes of the window, for example "instruction 9 + text 503 + 1 = 513 / 512"."""
    straddling = f" + straddling {found.n_straddling}" if found.n_straddling else ""
    text = found.n_text + found.n_cut
    total = found.n_instruction + found.n_straddling + text + 1
    words = f"instruction {found.n_instruction}{straddling} + text {text} + 1 = {total} / {found.max_seq_length}"
    cut = f"; {found.n_cut} cut off" if found.n_cut else ""
    return f"{words}{cut}; padding weighs nothing and is not shown"


def boundary_sentence(found: Boundary) -> str:
    """Whether counting tokens and counting characters agree on where the instruction ends."""
    before, after = (part.replace(" ", _JOINT_MARK) for part in found.joint)
    joint = f"Joined as {before}|{after}."
    if found.agree:
        verdict = f"Both counts put the end of the instruction after token {found.count}."
    else:
        verdict = (
            f"The counts disagree: the instruction alone has {found.count} tokens, but by characters it ends after "
            f"token {found.character}."
        )
    advice = "" if found.spaced else " No space parts instruction and text: end the instruction with one."
    return f"{joint} {verdict}{advice}"


def _place(pair: EncodedPair, position: int) -> str:
    """Tooltip of a token: its id and characters, and whether it is averaged."""
    n = len(pair.pooling_mask)
    start, end = (int(edge) for edge in pair.spans[position])
    where = "no characters of its own" if start < 0 or start == end else f"characters {start + 1} to {end}"
    fate = "cut off: never encoded"
    if position < n:
        fate = "averaged" if pair.pooling_mask[position] else "not averaged"
    return f"token {position + 1}, id {int(pair.token_ids[position])}\n{where}\n{fate}"
