"""What visitors type reaches the figures exactly, mistakes lose nothing, and long work can be stopped."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from instructor_core import InstructorModel
from instructor_core.ui.examples import load_examples
from tests.browser.conftest import Problems
from tests.browser.reading import (
    choose,
    cosines,
    drawn,
    embed,
    instruction,
    matrices,
    open_tab,
    status,
    texts,
    wait_for_size,
)

pytestmark = pytest.mark.browser

FIRST = load_examples()[0]
HOSTILE = (
    "<img src=x onerror=\"window.hit='img'\"> <b>bold</b>",
    "${window.hit='template'} costs {{value}} `euros` $x^2$",
    "</textarea></script><script>window.hit='script'</script> & &amp;",
    "</s> <pad> <extra_id_0> %{z} \\ '\"",
)
PASTE = """text => {
  const data = new DataTransfer();
  data.setData('text/plain', text);
  const target = document.activeElement;
  if (target.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})))
    document.execCommand('insertText', false, text);
}"""


def test_new_instructions_and_forty_pasted_lines_are_what_the_figures_show(page: Page, mini: InstructorModel):
    pasted = [f"Remark {i} on the {place}." for i in range(10) for place in ("food", "film", "hotel", "phone")]
    instructions = ["Represent the remark for classifying the topic:", "", FIRST.instructions[2]]
    matrices(page, 3)
    for k in (0, 1):
        instruction(page, k).fill(instructions[k])
    texts(page).focus()
    page.keyboard.press("ControlOrMeta+a")
    lines = [f"{text}\t{'even' if i % 2 == 0 else 'odd'}" for i, text in enumerate(pasted)]
    page.evaluate(PASTE, "\n".join(lines))
    embed(page, 120)
    wait_for_size(page, 3, 40)
    for drawn_values, words in zip(matrices(page, 3), instructions, strict=True):
        np.testing.assert_allclose(drawn_values, cosines(mini, words, pasted), atol=1e-3)
    expect(page.locator("#summary")).to_contain_text("40 texts · 2 labels")
    expect(page.locator("#text-list [data-item]")).to_have_count(40)
    titles = page.locator("#similarity-plots .ic-panel-title").all_inner_texts()
    assert titles[:2] == [instructions[0], "(no instruction)"]


def test_editing_one_text_encodes_that_text_under_each_instruction(page: Page, mini: InstructorModel):
    before = matrices(page, 3)[0][0, 1]
    changed = [f"Nobody ever said {time.time()}.", *FIRST.texts[1:]]
    texts(page).fill("\n".join(changed))
    embed(page, 48)
    expect(status(page)).to_contain_text("48 pairs · 3 new")
    page.wait_for_function(
        "before => document.querySelector('#similarity-plots .ic-plot').data[0].z[0][1] !== before", arg=before
    )
    np.testing.assert_allclose(matrices(page, 3)[0], cosines(mini, FIRST.instructions[0], changed), atol=1e-3)


def test_after_an_upload_the_line_is_about_its_texts_and_a_click_on_the_map_names_them(page: Page):
    line, about_the_example = page.locator("#example-point"), re.compile(re.escape(FIRST.point[:40]))
    expect(line).to_have_text(about_the_example)
    remarks = [f"Customer {i} wrote about case {i % 8}." for i in range(300)]
    rows = "\n".join(f"{remark},case {i % 8}" for i, remark in enumerate(remarks))
    upload = {"name": "own.csv", "mimeType": "text/csv", "buffer": f"message,category\n{rows}\n".encode()}
    matrices(page, 3)
    page.get_by_role("button", name=re.compile("^upload a file")).click()
    page.locator("#upload-file input[type=file]").set_input_files(upload)
    expect(page.locator("#upload-preview table")).to_be_visible()
    page.locator("#upload-use").click()
    expect(line).to_have_text("Your 300 texts, 8 labels (category).", timeout=60_000)
    expect(page.get_by_text(about_the_example)).to_have_count(0)
    assert FIRST.title not in page.locator("#example input").input_value()
    open_tab(page, "Map")
    figure = drawn(page, "map-plots", 3).first
    at = page.evaluate("""() => {
      const gd = document.querySelector('#map-plots .ic-plot');
      gd.scrollIntoView({block: 'center'});
      const box = gd.getBoundingClientRect(), {xaxis, yaxis} = gd._fullLayout, trace = gd.data[0];
      const near = (k) => Math.min(...gd.data.flatMap((other, t) => [...other.x].map((x, i) => t === 0 && i === k
        ? Infinity : (x - trace.x[k]) ** 2 + (other.y[i] - trace.y[k]) ** 2)));
      const k = [...trace.x.keys()].reduce((best, i) => near(i) > near(best) ? i : best, 0);
      return [box.left + xaxis._offset + xaxis.d2p(trace.x[k]), box.top + yaxis._offset + yaxis.d2p(trace.y[k]),
        trace.customdata[k]];
    }""")
    expect(figure).to_be_visible()
    page.mouse.move(at[0] - 3, at[1])
    page.mouse.move(at[0], at[1])
    page.mouse.click(at[0], at[1])
    expect(page.locator("#selection-line")).to_contain_text(f"text {at[2] + 1} ", timeout=20_000)
    expect(page.locator("#selection-line")).to_contain_text("case")


def test_instructions_are_added_built_and_removed_up_to_eight(page: Page):
    shown = page.locator(".ic-instruction:visible")
    add = page.locator("#add-instruction")
    expect(shown).to_have_count(3)
    page.get_by_role("button", name=re.compile("^builder")).click()
    page.locator("#build-instruction").click()
    expect(shown).to_have_count(4)
    expect(instruction(page, 3)).to_have_value("Represent the review for clustering by topic:")
    for count in (5, 6, 7, 8):
        add.click()
        expect(shown).to_have_count(count)
    add.click()
    page.wait_for_timeout(300)
    expect(shown).to_have_count(8)
    embed(page, 8 * 16)
    assert len(matrices(page, 8)) == 8
    page.locator("#remove-0").click()
    expect(shown).to_have_count(7)
    expect(instruction(page, 0)).to_have_value(FIRST.instructions[1].strip())
    expect(instruction(page, 2)).to_have_value("Represent the review for clustering by topic:")
    embed(page, 7 * 16)
    assert len(matrices(page, 7)) == 7


def test_under_each_instruction_stands_what_it_does_to_the_texts(page: Page):
    lines = page.locator(".ic-fingerprint:visible")
    expect(lines).to_have_count(3)
    expect(lines.nth(1)).to_contain_text("sentiment")
    instruction(page, 0).fill("banana banana banana:")
    expect(page.locator("body")).to_have_class(re.compile("ic-typed"))
    instruction(page, 1).fill("Is the author happy or annoyed?")
    embed(page, 48)
    expect(lines.nth(0)).to_contain_text("hardly changes anything (.")
    expect(lines.nth(1)).to_have_text(re.compile(r"^moves the texts \.\d\d \(punctuation \.\d\d\) · like .*sentiment"))
    expect(page.locator("body")).not_to_have_class(re.compile("ic-typed"))
    texts(page).fill("one text\nand another")
    embed(page, 6)
    expect(lines.nth(0)).to_contain_text("from 4 different texts on")


def test_an_empty_text_field_is_answered_in_place_and_nothing_is_lost(page: Page):
    before = matrices(page, 3)
    texts(page).fill("")
    instruction(page, 0).fill("Represent the remark:")
    page.locator("#update").click()
    message = status(page).get_by_role("alert")
    expect(message).to_contain_text("Write or paste one text per line")
    expect(instruction(page, 0)).to_have_value("Represent the remark:")
    np.testing.assert_array_equal(matrices(page, 3)[0], before[0])
    texts(page).fill("\n".join(FIRST.texts))
    embed(page, 48)
    expect(page.locator("#similarity-plots .ic-panel-title").first).to_have_text("Represent the remark:")


def test_a_checkpoint_out_of_reach_is_reported_and_the_page_goes_on(page: Page, problems: Problems):
    problems.allow("the server reached for huggingface.co")
    matrices(page, 3)
    menu = page.locator("#checkpoint input")
    choose(page, menu, "instructor-base")
    expect(status(page).get_by_role("alert")).to_contain_text("Could not download", timeout=20_000)
    expect(menu).to_have_value("instructor-mini (on this machine)")
    instruction(page, 0).fill("Represent the remark for classifying the emotion:")
    embed(page, 48)
    expect(page.locator("#similarity-plots .ic-panel-title").first).to_contain_text("emotion")


def test_a_long_run_stops_when_asked_and_keeps_what_was_typed(page: Page):
    before = matrices(page, 3)
    stamp = time.time()
    many = "\n".join(f"Line {i} of {stamp}: " + "the long story goes on and on " * 12 for i in range(1500))
    texts(page).fill(many)
    page.locator("#update").click()
    expect(status(page)).to_contain_text("of 4500 pairs", timeout=60_000)
    page.locator("#stop").click()
    expect(status(page)).to_contain_text("stopped", timeout=20_000)
    page.wait_for_timeout(1500)
    expect(status(page)).to_contain_text("stopped")
    assert texts(page).input_value() == many
    np.testing.assert_array_equal(matrices(page, 3)[0], before[0])
    texts(page).fill(f"short {stamp}\nshorter")
    embed(page, 6)
    wait_for_size(page, 3, 2)


def test_hostile_texts_are_shown_literally_everywhere(page: Page):
    instruction(page, 0).fill(HOSTILE[0])
    texts(page).fill("\n".join(f"{text}\t<i>label</i> {i}" for i, text in enumerate(HOSTILE)))
    embed(page, 12)
    wait_for_size(page, 3, 4)
    rows = page.locator("#text-list [data-item]")
    for i, text in enumerate(HOSTILE):
        expect(rows.nth(i).locator(".ic-list-text")).to_have_text(text)
        expect(rows.nth(i).locator(".ic-label")).to_have_text(f"<i>label</i> {i}")
    expect(page.locator("#similarity-plots .ic-panel-title").first).to_have_text(HOSTILE[0])
    for i in (2, 3):
        rows.nth(i).click()
    expect(page.locator("#selection-line")).to_contain_text("</s> <pad>")
    open_tab(page, "Map")
    drawn(page, "map-plots", 3)
    expect(page.locator("#map-plots .ic-legend li").first).to_have_text("<i>label</i> 0")
    open_tab(page, "Tokens")
    drawn(page, "token-plots", 3)
    assert page.locator("#token-rows .ic-segment-end").count() == 3
    assert page.evaluate("window.hit === undefined")
    assert page.locator("img[src='x']").count() == 0
