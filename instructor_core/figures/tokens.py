"""Token vectors as matrices: token x dimension and token x token, one panel per instruction."""

from __future__ import annotations

from collections.abc import Sequence

from instructor_core.analysis.grid import letter
from instructor_core.analysis.numbers import number, span
from instructor_core.analysis.similarity import CosineMatrix
from instructor_core.analysis.tokens import TokenDimensions
from instructor_core.figures import theme
from instructor_core.figures.matrix import Side, matrix_figure
from instructor_core.figures.panels import ColorScale, PanelSet, instruction_panel

_ROW_HEIGHT = 16  # px, a token keeps its label
_WIDTH = 560  # px, the width that the height of a token x dimension panel reckons with
_SEPARATOR = theme.SEGMENTS["instruction"]
_TOKEN_LENGTH = 24  # characters of a token in a label


def token_dimension_panels(
    result: TokenDimensions,
    tokens: Sequence[Sequence[str]],
    segments: Sequence[Sequence[str]],
    instructions: Sequence[str],
) -> PanelSet:
    """Token x dimension heatmaps with the same dimensions and colours, one per sequence of `result`."""
    names = tuple(f"dimension {int(d)}" for d in result.dimensions)
    columns = Side(tuple(str(int(d)) for d in result.dimensions), names=names)
    bar = ColorScale.signed(result.limit, "token vector, W h")
    panels = []
    for k, instruction in enumerate(instructions):
        n = len(result.values[k])
        rows = _token_side(tokens[k][:n], segments[k][:n])
        figure = matrix_figure(result.values[k], rows, columns, bar, "value", digits=0, separator=_SEPARATOR)
        aspect = n * _ROW_HEIGHT / _WIDTH
        panels.append(instruction_panel(k, instruction, figure, aspect=aspect))
    how = {"seriation": "similar ones side by side", "variance": "most variable first", "index": "by number"}
    counts = ", ".join(str(len(values)) for values in result.values)
    alt = (
        f"Values of the {len(result.dimensions)} most variable dimensions ({how[result.order]}) for the tokens "
        f"of {len(result.values)} sequences ({counts} tokens)."
    )
    return PanelSet(tuple(panels), scale=bar, alt=alt)


def token_similarity_panels(
    results: Sequence[CosineMatrix],
    tokens: Sequence[Sequence[str]],
    segments: Sequence[Sequence[str]],
    instructions: Sequence[str],
) -> PanelSet:
    """Token x token cosine matrices on one colour scale, one per sequence; arguments as above."""
    low = min((result.low for result in results), default=0.0)
    high = max((result.high for result in results), default=1.0)
    bar = ColorScale(theme.SEQUENTIAL, low, high, "cosine of token vectors")
    panels = []
    for k, result in enumerate(results):
        n = len(result.matrix)
        side = _token_side(tokens[k][:n], segments[k][:n])
        figure = matrix_figure(result.matrix, side, side, bar, separator=_SEPARATOR)
        panels.append(instruction_panel(k, instructions[k], figure, aspect=1.0))
    alt = f"Cosines among the tokens of {len(results)} sequences, {span(low, high)}."
    for k, result in enumerate(results):
        if (cell := result.closest) is not None:
            first, second = (tokens[k][at].removeprefix("▁") for at in (cell.first, cell.second))
            alt += f" Most similar under {letter(k)}: {first} and {second} ({number(cell.value)})."
    return PanelSet(tuple(panels), scale=bar, alt=alt)


def _token_side(tokens: Sequence[str], segments: Sequence[str]) -> Side:
    """Labels of tokens, with a line where the instruction ends; their mark of a word start stays in the tooltip."""
    names = tuple(theme.shorten(token, _TOKEN_LENGTH) for token in tokens)
    inside = [segment == "instruction" for segment in segments]  # true for a member of a string enumeration as well
    ends = tuple(i for i in range(1, len(names)) if inside[i - 1] and not inside[i])
    return Side(tuple(name.removeprefix("▁") or "space" for name in names), names=names, separators=ends)
