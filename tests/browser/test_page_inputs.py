"""What visitors type reaches the figures exactly, mistakes lose nothing, and long work can be stopped."""

import re
import time
from collections.abc import Callable

import numpy as np
from playwright.sync_api import Page, expect

from instructor_core import InstructorModel
from instructor_core.ui.data.examples import load_examples
from tests.browser.conftest import PHONE, Problems
from tests.browser.reading import (
    choose,
    cosine_matrices,
    cosines,
    drawn,
    embed,
    instruction,
    matrices,
    open_panel,
    open_tab,
    point_at,
    status,
    texts,
    wait_for_size,
)

FIRST = load_examples()[0]
K, N = len(FIRST.instructions), len(FIRST.texts)
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


DROP = """([name, content]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([content], name, {type: 'text/csv'}));
  const target = document.querySelector('#nearest-line');
  for (const kind of ['dragover', 'drop'])
    target.dispatchEvent(new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true}));
}"""


def test_typing_is_enough_for_new_instructions_pasted_lines_and_an_edited_text(page: Page, mini: InstructorModel):
    pasted = [f"Remark {i} on the {place}." for i in range(10) for place in ("food", "film", "hotel", "phone")]
    instructions = ["Represent the remark for classifying the topic:", ""]
    drawn(page, "map-plots", K)
    for k in range(K):
        instruction(page, k).fill(instructions[k])
    embed(page, K * N)  # nothing was pressed, and no field was left
    expect(page.locator("#map-plots .ic-panel-title")).to_have_text([instructions[0], "(no instruction)"])
    texts(page).focus()
    page.keyboard.press("ControlOrMeta+a")
    lines = [f"{text}\t{'even' if i % 2 == 0 else 'odd'}" for i, text in enumerate(pasted)]
    page.evaluate(PASTE, "\n".join(lines))
    embed(page, K * 40)
    expect(page.locator("#update")).to_be_hidden()
    for drawn_values, words in zip(cosine_matrices(page, K), instructions, strict=True):
        np.testing.assert_allclose(drawn_values, cosines(mini, words, pasted), atol=1e-3)
    expect(page.locator("#summary")).to_contain_text("40 texts · 2 labels")
    lines[0] = f"Nobody ever said {time.time()}."
    texts(page).fill("\n".join(lines))
    expect(status(page)).to_contain_text(f"{K * 40} pairs · {K} new")  # only that text, under each instruction
    page.locator("#edit-texts").click()
    rows = page.locator("#text-list [data-item]")
    expect(rows).to_have_count(40)
    expect(rows.first).to_contain_text(lines[0])


def test_a_chip_takes_the_place_of_b_at_once_and_the_row_is_one_stop_for_keys(page: Page):
    drawn(page, "map-plots", K)
    title = page.locator("#map-plots .ic-panel-title").nth(1)
    page.locator("#chips button", has_text="mood").click()
    expect(instruction(page, 1)).to_have_value("Represent the review for classifying the emotion:")
    expect(title).to_have_text(re.compile("the review for classifying the emotion:$"))
    expect(instruction(page, 0)).to_have_value(FIRST.instructions[0].strip())
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#chips [tabindex='0']")).to_have_text("who speaks")
    expect(title).to_have_text(re.compile("the review for classifying the grammatical person:$"))
    page.locator("#chips button", has_text="no instruction").click()
    expect(title).to_have_text("(no instruction)")
    expect(page.locator(".ic-instruction:visible")).to_have_count(2)


def test_a_file_dropped_anywhere_is_what_the_page_is_about_with_instructions_from_its_columns(page: Page):
    line, about_the_example = page.locator("#example-point"), re.compile(re.escape(FIRST.point[:40]))
    expect(line).to_have_text(about_the_example)
    drawn(page, "map-plots", K)
    rows = "\n".join(f"Customer {i} wrote about case {i % 8}.,case {i % 8}" for i in range(300))
    page.evaluate(DROP, ["own.csv", f"message,category\n{rows}\n"])
    expect(page.locator("#upload-preview table")).to_be_visible()
    page.locator("#upload-use").click()
    expect(line).to_have_text("Your 300 texts, 8 labels (category).")
    expect(page.locator("#panel-texts")).to_be_hidden()
    expect(page.get_by_text(about_the_example)).to_have_count(0)
    expect(page.locator("#example input")).to_have_value("")
    expect(page.locator("#example input")).to_have_attribute("placeholder", "an example")
    expect(instruction(page, 0)).to_have_value("Represent the message for classifying the category:")
    expect(instruction(page, 1)).to_have_value("")
    embed(page, 2 * 300)
    expect(page.locator("#map-plots .ic-panel-title").nth(1)).to_have_text("(no instruction)")
    expect(page.locator(".ic-fingerprint").nth(1)).to_contain_text("the control")
    expect(page.locator("#map-plots .ic-panel-subtitle").first).to_contain_text("UMAP")  # after PCA, by itself
    left, top, text = point_at(page, 0)
    page.mouse.move(left - 3, top)
    page.mouse.move(left, top)
    expect(page.locator(".ic-tooltip")).to_contain_text(f"Customer {text} wrote")
    page.mouse.click(left, top)
    expect(page.locator("#selection-line")).to_contain_text(f"Customer {text} wrote about case")


def test_what_the_header_opens_is_closed_by_escape_by_its_button_and_by_a_click_beside_it(page: Page):
    for name, first in (("texts", "#upload-file"), ("share", "#link-copy")):
        button, panel = page.locator(f"#open-{name}"), page.locator(f"#panel-{name}")
        for close in (lambda: page.keyboard.press("Escape"), button.click, page.locator("#nearest-line").click):
            open_panel(page, name)
            expect(panel.locator(first)).to_be_visible()
            assert panel.evaluate("node => node.contains(document.activeElement)")
            close()
            expect(panel).to_be_hidden()
            expect(button).to_have_attribute("aria-expanded", "false")
    open_panel(page, "texts")
    page.keyboard.press("Escape")
    expect(page.locator("#open-texts")).to_be_focused()


def test_instructions_are_added_built_and_removed_up_to_eight(page: Page):
    shown = page.locator(".ic-instruction:visible")
    add = page.locator("#add-instruction")
    expect(shown).to_have_count(K)
    page.get_by_role("button", name=re.compile("paper's template")).click()
    page.locator("#build-instruction").click()
    expect(shown).to_have_count(3)
    built = "Represent the review for clustering by topic:"
    expect(instruction(page, 2)).to_have_value(built)
    for count in (4, 5, 6, 7, 8):
        add.click()
        expect(shown).to_have_count(count)
    add.click()
    page.wait_for_timeout(300)
    expect(shown).to_have_count(8)
    drawn(page, "map-plots", 8)
    page.locator("#remove-0").click()
    expect(shown).to_have_count(7)
    expect(instruction(page, 0)).to_have_value(FIRST.instructions[1].strip())
    expect(instruction(page, 1)).to_have_value(built)
    drawn(page, "map-plots", 7)


def test_a_checkpoint_out_of_reach_is_reported_and_the_page_goes_on(page: Page, problems: Problems):
    problems.allow("the server reached for huggingface.co")
    drawn(page, "map-plots", K)
    menu = page.locator("#checkpoint input")
    choose(page, menu, "instructor-base")
    expect(status(page).get_by_role("alert")).to_contain_text("Could not download")
    expect(menu).to_have_value("instructor-mini (on this machine)")
    instruction(page, 0).fill("Represent the remark for classifying the emotion:")
    embed(page, K * N)
    expect(page.locator("#map-plots .ic-panel-title").first).to_contain_text("emotion")


def test_a_long_run_asks_first_stops_when_asked_and_keeps_what_was_typed(page: Page):
    before = cosine_matrices(page, K)
    update, stop, stamp = page.locator("#update"), page.locator("#stop"), time.time()
    many = "\n".join(f"Line {i} of {stamp}: " + "on and on " * 35 for i in range(500))
    texts(page).fill(many)
    expect(status(page)).to_have_text(re.compile(r"1000 pairs to embed, about \d+ s"))
    expect(stop).to_be_hidden()
    page.wait_for_timeout(300)
    expect(page.locator("body")).to_have_class(re.compile("ic-typed"))  # the figures are of other texts
    update.click()
    expect(status(page)).to_contain_text("of 1000 pairs")
    expect(stop).to_be_visible()
    stop.click()
    expect(status(page)).to_contain_text("stopped")
    expect(stop).to_be_hidden()
    expect(update).to_be_visible()  # to go on
    expect(page.locator("body")).to_have_class(re.compile("ic-typed"))
    assert texts(page).input_value() == many
    np.testing.assert_array_equal(matrices(page, K)[0], before[0])
    texts(page).fill(f"short {stamp}\nshorter")
    embed(page, 2 * K)
    expect(update).to_be_hidden()
    wait_for_size(page, K, 2)


def test_hostile_texts_are_shown_literally_everywhere(page: Page):
    instruction(page, 0).fill(HOSTILE[0])
    texts(page).fill("\n".join(f"{text}\t<i>label</i> {i}" for i, text in enumerate(HOSTILE)))
    embed(page, 4 * K)
    expect(page.locator("#map-plots .ic-legend li").first).to_have_text("<i>label</i> 0")
    expect(page.locator("#map-plots .ic-panel-title").first).to_have_attribute("title", HOSTILE[0])
    page.locator("#edit-texts").click()
    rows = page.locator("#text-list [data-item]")
    for i, text in enumerate(HOSTILE):
        expect(rows.nth(i).locator(".ic-list-text")).to_have_text(text)
        expect(rows.nth(i).locator(".ic-label")).to_have_text(f"<i>label</i> {i}")
    for i in (2, 3):
        rows.nth(i).click()
    expect(page.locator("#selection-line")).to_contain_text("</s> <pad>")
    expect(page.locator("#why-card h3")).to_contain_text("Why texts 4 and 3 ")
    for tab, view in (("Matrix", "similarity-plots"), ("Nearest", "nearest-plots"), ("Tokens", "token-plots")):
        open_tab(page, tab)
        drawn(page, view, K)
    assert page.locator("#token-rows .ic-segment-end").count() == K
    assert page.evaluate("window.hit === undefined")
    assert page.locator("img[src='x']").count() == 0


def test_a_phone_shows_an_error_without_a_swipe(open_page: Callable[..., Page]) -> None:
    page = open_page(PHONE)
    page.locator("#map-plots .js-plotly-plot").first.wait_for()
    page.locator("#sheet-handle").click()
    texts(page).fill("\ta label alone\nfine")
    error = page.locator("#status .ic-error")
    expect(error).to_contain_text("Line 1 has a label and no text")
    page.locator("#sheet-handle").click()
    expect(error).to_be_in_viewport(ratio=0.9)
