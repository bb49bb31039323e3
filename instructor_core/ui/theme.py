"""The page: Gradio's theme and the stylesheet, both from the colours and sizes of `figures/theme.py`.

The interface itself is ink on paper. Colour is left to the data, so buttons, tabs and focus rings have none.
"""

from __future__ import annotations

import inspect

import gradio as gr

from instructor_core.analysis.suggest import read_json
from instructor_core.figures.panels import inert_json
from instructor_core.figures.theme import DARK, SIZE_BODY, SIZE_SMALL, SIZE_TITLE, css_variables, dark_twins, template
from instructor_core.ui.components import ASSETS, FILE_POLICY

# Colour of the page -> Gradio's variables of it. The `--ic-` properties follow the light or dark page by themselves.
_BY_COLOR = {
    "page": (
        "body_background_fill background_fill_primary table_odd_background_fill checkbox_background_color "
        "checkbox_background_color_focus checkbox_background_color_hover input_background_fill "
        "input_background_fill_focus button_primary_text_color button_primary_text_color_hover"
    ),
    "raised": "background_fill_secondary code_background_fill",
    "hover": (
        "color_accent_soft checkbox_label_background_fill_hover checkbox_label_background_fill_selected "
        "button_secondary_background_fill_hover"
    ),
    "rule": (
        "border_color_primary block_border_color panel_border_color input_border_color button_secondary_border_color"
    ),
    "ink": (
        "body_text_color border_color_accent color_accent link_text_color link_text_color_active "
        "link_text_color_visited accordion_text_color checkbox_background_color_selected checkbox_border_color_focus "
        "checkbox_border_color_hover checkbox_border_color_selected checkbox_label_text_color "
        "checkbox_label_text_color_selected input_border_color_focus loader_color slider_color "
        "button_primary_background_fill button_primary_border_color button_secondary_text_color "
        "button_secondary_text_color_hover"
    ),
    "muted": (
        "body_text_color_subdued link_text_color_hover block_info_text_color block_label_text_color "
        "block_title_text_color checkbox_border_color input_placeholder_color button_primary_background_fill_hover "
        "button_primary_border_color_hover button_secondary_border_color_hover"
    ),
    "error": "error_border_color error_text_color error_icon_color",
    "transparent": (
        "block_background_fill block_label_background_fill block_label_border_color panel_background_fill "
        "checkbox_label_background_fill checkbox_label_border_color checkbox_label_border_color_selected "
        "error_background_fill button_secondary_background_fill"
    ),
}
COLORS = {
    name: color if color == "transparent" else f"var(--ic-{color})"
    for color, names in _BY_COLOR.items()
    for name in names.split()
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
    shared = {"light": template(), "dark": template(DARK), "twins": dark_twins(), "policy": FILE_POLICY}
    return f"<style>\n{style}</style>\n<script>window.InstructorTheme = {inert_json(shared)};</script>\n{help_head()}"


def help_head() -> str:
    """Return the script that explains what is on the page, for its head."""
    script = (ASSETS / "help.js").read_text(encoding="utf-8")
    return f"<script>window.InstructorHelpWords = {inert_json(help_words())};</script>\n<script>{script}</script>"


def help_words() -> dict[str, dict[str, str]]:
    """Return help by tab ("page" outside of them), then by the `#id` of an element, a `## heading` or a label."""
    return read_json((ASSETS / "help.json").read_bytes(), dict[str, dict[str, str]])
