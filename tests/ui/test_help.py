"""Help for every control and figure of the page, at its place."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import pytest

from instructor_core.hub import CHECKPOINTS
from instructor_core.ui.demo import build_demo
from instructor_core.ui.runtime import Runtime
from instructor_core.ui.theme import help_words

CONTROLS = (
    *(gr.Textbox, gr.Number, gr.Slider, gr.Radio, gr.Dropdown, gr.Checkbox, gr.CheckboxGroup),
    *(gr.File, gr.Dataframe, gr.Accordion),
)
# A control without a visible label is explained by the heading or the fold that it belongs to.
EXPLAINED_BY = {"Instruction": "try", "What": "#export", "Link": "#link"}


def tab_of(block: gr.blocks.Block) -> str:
    parent: gr.blocks.BlockContext | None = block.parent
    while parent is not None:
        if isinstance(parent, gr.Tab):
            return str(parent.id)
        parent = parent.parent
    return "page"


def key_of(block: gr.blocks.Block) -> str | None:
    """What the help of a block is found by; None for a block that needs none."""
    if isinstance(block, gr.HTML):
        return f"#{block.elem_id}" if "ic-view" in (block.elem_classes or []) else None
    if not isinstance(block, CONTROLS) or block.visible == "hidden":
        return None
    label = str(block.label)
    if getattr(block, "show_label", True) is False:
        return EXPLAINED_BY.get(label) or EXPLAINED_BY.get(label.rsplit(" ", 1)[0], label)
    return f"#{block.elem_id}" if block.elem_id else label


@pytest.fixture(scope="module")
def explained() -> list[tuple[str, str]]:
    """(tab, key) of everything on the page that needs help."""
    blocks = build_demo(Runtime(CHECKPOINTS, device="cpu")).blocks.values()
    return [(tab_of(block), key) for block in blocks if (key := key_of(block)) is not None]


def entries() -> Iterator[tuple[str, str]]:
    return ((tab, key) for tab, words in help_words().items() for key in words)


def test_every_control_and_figure_of_the_page_has_help(explained: list[tuple[str, str]]) -> None:
    assert len(explained) > 50
    assert [place for place in explained if place not in set(entries())] == []


def test_no_help_is_left_over_from_a_control_that_is_gone(explained: list[tuple[str, str]]) -> None:
    assert sorted(set(entries()) - set(explained)) == []


@pytest.mark.parametrize("tab", list(help_words()))
def test_help_is_one_to_three_short_sentences(tab: str) -> None:
    for key, words in help_words()[tab].items():
        assert words.endswith("."), key
        assert words == " ".join(words.split()), key
        assert 20 <= len(words) <= 240, (key, len(words))
