"""The page: Gradio's theme and the stylesheet, both from the colours and sizes of `figures/theme.py`.

The interface itself is ink on paper. Colour is left to the data, so buttons, tabs and focus rings have none.
"""

from __future__ import annotations

import inspect
import json

import gradio as gr

from instructor_core.figures.panels import inert_json
from instructor_core.figures.theme import (
    SIZE_BODY,
    SIZE_SMALL,
    SIZE_TITLE,
    css_variables,
    dark_template,
    dark_twins,
    light_template,
)
from instructor_core.ui.components import ASSETS, FILE_POLICY

# Gradio's theme variable -> value. The `--ic-` properties follow the light or dark page by themselves.
COLORS = {
    "body_background_fill": "var(--ic-page)",
    "body_text_color": "var(--ic-ink)",
    "body_text_color_subdued": "var(--ic-muted)",
    "background_fill_primary": "var(--ic-page)",
    "background_fill_secondary": "var(--ic-raised)",
    "border_color_primary": "var(--ic-rule)",
    "border_color_accent": "var(--ic-ink)",
    "color_accent": "var(--ic-ink)",
    "color_accent_soft": "var(--ic-hover)",
    "link_text_color": "var(--ic-ink)",
    "link_text_color_active": "var(--ic-ink)",
    "link_text_color_hover": "var(--ic-muted)",
    "link_text_color_visited": "var(--ic-ink)",
    "code_background_fill": "var(--ic-raised)",
    "block_background_fill": "transparent",
    "block_border_color": "var(--ic-rule)",
    "block_info_text_color": "var(--ic-muted)",
    "block_label_background_fill": "transparent",
    "block_label_border_color": "transparent",
    "block_label_text_color": "var(--ic-muted)",
    "block_title_text_color": "var(--ic-muted)",
    "panel_background_fill": "transparent",
    "panel_border_color": "var(--ic-rule)",
    "accordion_text_color": "var(--ic-ink)",
    "table_odd_background_fill": "var(--ic-page)",
    "checkbox_background_color": "var(--ic-page)",
    "checkbox_background_color_focus": "var(--ic-page)",
    "checkbox_background_color_hover": "var(--ic-page)",
    "checkbox_background_color_selected": "var(--ic-ink)",
    "checkbox_border_color": "var(--ic-muted)",
    "checkbox_border_color_focus": "var(--ic-ink)",
    "checkbox_border_color_hover": "var(--ic-ink)",
    "checkbox_border_color_selected": "var(--ic-ink)",
    "checkbox_label_background_fill": "transparent",
    "checkbox_label_background_fill_hover": "var(--ic-hover)",
    "checkbox_label_background_fill_selected": "var(--ic-hover)",
    "checkbox_label_border_color": "transparent",
    "checkbox_label_border_color_selected": "transparent",
    "checkbox_label_text_color": "var(--ic-ink)",
    "checkbox_label_text_color_selected": "var(--ic-ink)",
    "input_background_fill": "var(--ic-page)",
    "input_background_fill_focus": "var(--ic-page)",
    "input_border_color": "var(--ic-rule)",
    "input_border_color_focus": "var(--ic-ink)",
    "input_placeholder_color": "var(--ic-muted)",
    "loader_color": "var(--ic-ink)",
    "slider_color": "var(--ic-ink)",
    "error_background_fill": "transparent",
    "error_border_color": "var(--ic-error)",
    "error_text_color": "var(--ic-error)",
    "error_icon_color": "var(--ic-error)",
    "button_primary_background_fill": "var(--ic-ink)",
    "button_primary_background_fill_hover": "var(--ic-muted)",
    "button_primary_border_color": "var(--ic-ink)",
    "button_primary_border_color_hover": "var(--ic-muted)",
    "button_primary_text_color": "var(--ic-page)",
    "button_primary_text_color_hover": "var(--ic-page)",
    "button_secondary_background_fill": "transparent",
    "button_secondary_background_fill_hover": "var(--ic-hover)",
    "button_secondary_border_color": "var(--ic-rule)",
    "button_secondary_border_color_hover": "var(--ic-muted)",
    "button_secondary_text_color": "var(--ic-ink)",
    "button_secondary_text_color_hover": "var(--ic-ink)",
}

METRICS = {
    "block_border_width": "0px",
    "block_padding": "0px",
    "block_label_border_width": "0px",
    "block_label_padding": "0px",
    "block_shadow": "none",
    "block_title_text_size": f"{SIZE_SMALL}px",
    "block_label_text_size": f"{SIZE_SMALL}px",
    "block_info_text_size": f"{SIZE_SMALL}px",
    "panel_border_width": "0px",
    "form_gap_width": "8px",
    "layout_gap": "12px",
    "input_border_width": "1px",
    "input_padding": "6px 8px",
    "checkbox_label_padding": "3px 6px",
    "checkbox_label_gap": "4px",
    "checkbox_label_border_width": "0px",
    "checkbox_label_shadow": "none",
    "checkbox_border_width": "1px",
    "button_border_width": "1px",
    "button_large_padding": "5px 12px",
    "button_large_text_size": f"{SIZE_BODY}px",
    "button_large_text_weight": "500",
    "button_medium_padding": "4px 10px",
    "button_medium_text_weight": "500",
    "button_small_padding": "3px 8px",
    "button_transition": "none",
    "section_header_text_size": f"{SIZE_TITLE}px",
    "section_header_text_weight": "600",
}


def page_theme() -> gr.themes.Base:
    """Return the theme of the page: system fonts, thin rules, small radii, no shadows, light and dark."""
    theme = gr.themes.Base(
        text_size=gr.themes.Size(
            name="text_ic",
            xxs=f"{SIZE_SMALL}px",
            xs=f"{SIZE_SMALL}px",
            sm=f"{SIZE_SMALL}px",
            md=f"{SIZE_BODY}px",
            lg=f"{SIZE_BODY}px",
            xl=f"{SIZE_TITLE}px",
            xxl=f"{SIZE_TITLE}px",
        ),
        spacing_size="sm",
        radius_size="sm",
        # Gradio quotes family names, which turns `system-ui` into an unknown one; style.css sets the stacks.
        font="sans-serif",
        font_mono="monospace",
    )
    values = COLORS | METRICS
    known = inspect.signature(theme.set).parameters
    dark = {f"{name}_dark": value for name, value in values.items() if f"{name}_dark" in known}
    return theme.set(**values, **dark)


def page_head() -> str:
    """Return the stylesheets of the page, what its scripts share with Python, and help, for `launch(head=...)`.

    Gradio's own `css` argument rewrites the rules: it repeats them under a prefix and drops some at-rules.
    """
    sheets = [(ASSETS / name).read_text(encoding="utf-8") for name in ("style.css", "lessons.css")]
    style = "\n".join([css_variables(), *sheets])
    shared = {"light": light_template(), "dark": dark_template(), "twins": dark_twins(), "policy": FILE_POLICY}
    return f"<style>\n{style}</style>\n<script>window.InstructorTheme = {inert_json(shared)};</script>\n{help_head()}"


def help_head() -> str:
    """Return the script that explains what is on the page, for its head."""
    script = (ASSETS / "help.js").read_text(encoding="utf-8")
    return f"<script>window.InstructorHelpWords = {inert_json(help_words())};</script>\n<script>{script}</script>"


def help_words() -> dict[str, dict[str, str]]:
    """Return help by tab ("page" outside of them), then by the `#id` of an element, a `## heading` or a label."""
    words: dict[str, dict[str, str]] = json.loads((ASSETS / "help.json").read_text(encoding="utf-8"))
    return words
