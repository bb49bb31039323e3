"""The payload of the plot view, the rows of the token view, and the helpers and promises of the theme."""

import itertools
import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_core.figures import theme
from instructor_core.figures.panels import MAX_ITEM_BYTES, ColorScale, Panel, PanelSet, Selection, shorten_all
from instructor_core.figures.token_rows import Token, TokenRow, TokenRows

HOSTILE = "</script><img src=x onerror=alert(1)> ${1+1} & {{x}}"


def panel(figure: go.Figure, key: str = "A") -> Panel:
    return Panel(key, "title", figure)


def payload_of(figure: go.Figure) -> dict:
    return json.loads(PanelSet((panel(figure),), ()).to_json())["panels"][0]["figure"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([0.0, 0.123456789, 1.0], [0, 0.1235, 1]),
        ([1.2345678e-7, 2.2345678e-7], [1.2346e-7, 2.2346e-7]),
        ([0.123456] * 3, [0.12346] * 3),
        ([1.0, np.nan, np.inf, -np.inf], [1.0, None, None, None]),
    ],
)
def test_numbers_are_rounded_to_a_ten_thousandth_of_their_span_and_holes_become_null(given: list, sent: list):
    figure = payload_of(go.Figure(go.Scatter(y=np.array(given), marker={"color": given}, meta={"kind": "plain"})))
    for values in (figure["data"][0]["y"], figure["data"][0]["marker"]["color"]):
        assert [value is None for value in values] == [value is None for value in sent]
        assert [value or 0 for value in values] == pytest.approx([value or 0 for value in sent], rel=1e-4)
    assert figure["data"][0]["meta"] == {"kind": "plain"}


def test_words_stay_literal_and_no_tag_can_start_in_the_payload():
    figure = go.Figure(go.Bar(y=[1.0], customdata=[HOSTILE]))
    text = PanelSet((Panel("A", HOSTILE, figure),), (HOSTILE,), alt=HOSTILE).to_json()
    assert "<" not in text
    payload = json.loads(text)
    assert payload["items"] == [HOSTILE]
    assert payload["alt"] == payload["panels"][0]["title"] == HOSTILE
    assert payload["panels"][0]["figure"]["data"][0]["customdata"] == [HOSTILE]


def test_the_template_of_a_figure_stays_behind_and_its_frames_scale_and_selection_travel():
    figure = go.Figure(go.Bar(y=[1.0]), layout={"template": "plotly_dark", "xaxis": {"title": "axis"}})
    figure.frames = [go.Frame(data=[go.Bar(y=np.array([2.0]))], name="second")]
    payload = payload_of(figure)
    assert payload["layout"] == {"xaxis": {"title": {"text": "axis"}}}
    assert payload["frames"] == [{"data": [{"type": "bar", "y": [2.0]}], "name": "second"}]
    scale = ColorScale(theme.DIVERGING, -1.0, 1.0, "difference", midpoint=0.0)
    text = PanelSet((panel(go.Figure()),), ("a",), scale=scale, selected=Selection(row=1, column=2)).to_json()
    payload = json.loads(text)
    assert payload["scale"]["colors"] == list(theme.DIVERGING)
    assert payload["scale"]["midpoint"] == 0.0
    assert payload["selected"] == {"row": 1, "column": 2, "panel": "", "items": []}


def test_token_rows_carry_segment_weight_and_index():
    token = Token("▁<b>", "text", 0.1234567, 3, "tip")
    text = TokenRows((TokenRow("topic", (token,), 1, "note"),)).to_json()
    assert "<" not in text
    assert json.loads(text) == {
        "rows": [
            {
                "title": "topic",
                "chip": "B",
                "accent": theme.accent(1),
                "note": "note",
                "tokens": [{"t": "▁<b>", "s": "text", "w": 0.12346, "i": 3, "tip": "tip"}],
            }
        ],
        "scale": None,
    }


@given(st.text(), st.integers(2, 40))
def test_a_shortened_text_is_one_line_within_its_length_and_ends_at_a_word(text: str, length: int):
    short = theme.shorten(text, length)
    assert len(short) <= length
    assert short == " ".join(short.split())
    assert theme.shorten("  The soup\nwas cold ", 40) == "The soup was cold"
    assert theme.shorten("The soup was cold and late", 18) == "The soup was cold…"
    assert theme.shorten("The soup was cold and late", 17) == "The soup was…"
    assert theme.shorten("Donaudampfschifffahrt", 6) == "Donau…"


def test_words_can_be_read_on_every_ground_and_colours_stand_out_but_the_middle_of_the_diverging_scale():
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert theme.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # as WCAG has it
    for surface in (theme.LIGHT, theme.DARK):
        grounds = (surface.page, surface.paper, surface.raised, surface.hover)
        for word, ground in itertools.product((surface.ink, surface.muted, surface.error), grounds):
            assert theme.contrast(word, ground) >= 4.5, (word, ground)
        for color in (*theme.INSTRUCTION_ACCENTS[:4], *theme.SEGMENTS.values()):
            assert theme.contrast(color, surface.page) >= 3, color
    for color in (*theme.INSTRUCTION_ACCENTS, *theme.SEQUENTIAL, *theme.DIVERGING, *theme.DIVERGING_DARK):
        assert theme.contrast(theme.ink_on(color), color) >= 4.5, color
    middle = len(theme.DIVERGING) // 2
    assert len(theme.DIVERGING) % 2 == 1
    assert theme.contrast(theme.DIVERGING[middle], theme.LIGHT.page) < 1.2
    assert theme.contrast(theme.DIVERGING_DARK[middle], theme.DARK.page) < 1.4


def oklab(color: str) -> np.ndarray:
    """Ottosson's perceptual space: 0.02 is just noticed, 0.08 told apart at a glance."""
    srgb = np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    cones = [
        [0.41222147, 0.53633254, 0.05144599],
        [0.2119035, 0.68069954, 0.10739696],
        [0.0883024, 0.28171884, 0.6299787],
    ]
    axes = [
        [0.21045426, 0.79361778, -0.00407205],
        [1.9779985, -2.42859221, 0.45059371],
        [0.02590404, 0.78277177, -0.80867577],
    ]
    return np.array(axes) @ np.cbrt(np.array(cones) @ linear)


def test_a_colour_has_one_meaning_on_the_light_and_on_the_dark_page():
    ends = [color for scale in (theme.DIVERGING, theme.DIVERGING_DARK) for color in (*scale[:2], *scale[-2:])]
    meanings = {
        "signed": ends,
        "label": theme.LABEL_COLORS,
        "instruction": theme.INSTRUCTION_ACCENTS,
        "segment": sorted(set(theme.SEGMENTS.values())),
    }
    for first, second in itertools.combinations(meanings, 2):
        if {first, second} == {"instruction", "segment"}:  # a segment is told by the style of its line
            continue
        for one, other in itertools.product(meanings[first], meanings[second]):
            assert np.linalg.norm(oklab(one) - oklab(other)) >= 0.08, (first, one, second, other)
    for one, other in itertools.combinations(theme.LABEL_COLORS, 2):
        assert np.linalg.norm(oklab(one) - oklab(other)) >= 0.1, (one, other)
    assert len({(theme.label_color(i), theme.label_symbol(i)) for i in range(64)}) == 64


def test_stylesheet_and_templates_have_the_colours_of_both_themes():
    root, dark = theme.css_variables().split(".dark {")
    for name in vars(theme.DARK):
        assert re.search(rf"--ic-{name}: #", root)
        assert f"--ic-{name}: {getattr(theme.DARK, name)};" in dark
    light = theme.template()["layout"]
    assert light["font"]["color"] == theme.LIGHT.ink and light["paper_bgcolor"] == "rgba(0,0,0,0)"
    assert go.layout.Template(theme.template(theme.DARK)).layout.font.color == theme.DARK.ink


def test_items_are_sent_whole_while_they_are_few_and_cut_alike_when_they_are_many() -> None:
    few = ("short", "é" * 40)
    assert shorten_all(few, 85) == list(few)
    cut = shorten_all((*few, "x" * 500), 120)
    assert cut[0] == "short"
    assert cut[2].endswith("…")
    assert sum(len(text.encode()) for text in cut) <= 120
    assert all(text.rstrip("…") in whole for text, whole in zip(cut, (*few, "x" * 500), strict=True))
    many = json.loads(PanelSet((), tuple(f"{i} {'long ' * 60}" for i in range(10_000))).to_json())["items"]
    assert sum(len(item.encode()) for item in many) <= MAX_ITEM_BYTES and many[1234].startswith("1234 long")
