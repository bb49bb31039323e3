"""Help for every control and figure of the page, at its place."""

import gradio as gr

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


def test_every_control_and_figure_of_the_page_has_help_in_short_sentences_and_none_is_left_over(
    demo: gr.Blocks,
) -> None:
    explained = {(tab_of(block), key) for block in demo.blocks.values() if (key := key_of(block)) is not None}
    helped = {(tab, key): words for tab, keys in help_words().items() for key, words in keys.items()}
    assert len(explained) > 50
    assert explained == set(helped)
    for at, words in helped.items():
        assert words.endswith(".") and words == " ".join(words.split()), at
        assert 20 <= len(words) <= 240, (at, len(words))
