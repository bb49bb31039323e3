"""What stands on the page says whether it is of what stands in the fields, and the drawer is where texts are mended."""

import numpy as np
from playwright.sync_api import Page, expect

from tests.browser.reading import at_rest, cosine_matrices, drawn, embed, instruction, matrices, open_tab, status, texts

# Gradio may be drawing the line anew: for a moment there is none.
DIM = "() => [...document.querySelectorAll('#nearest-line')].some(line => getComputedStyle(line).opacity < 0.6)"
CLEAR = "() => [...document.querySelectorAll('#nearest-line')].some(line => getComputedStyle(line).opacity === '1')"
EDIT = "() => document.documentElement.classList.add('ic-editing')"


def test_figures_are_dim_from_the_first_key_until_those_of_the_new_inputs_stand_there(page: Page):
    canvas = page.locator(".ic-page")
    page.wait_for_function(CLEAR)
    page.locator("#map-plots .ic-panel-title").first.click()  # which changes nothing
    assert not page.evaluate("document.body.classList.contains('ic-typed')")
    instruction(page, 1).press_sequentially(" x", delay=20)
    expect(canvas).to_have_attribute("aria-busy", "true")
    page.wait_for_function(DIM)
    page.wait_for_function(CLEAR)
    expect(canvas).to_have_attribute("aria-busy", "false")
    expect(status(page)).to_contain_text("16 new")
    # A run that another has overtaken says nothing of what stands in the fields.
    page.evaluate(
        "InstructorShell.stale(true); InstructorShell.begins(0); InstructorShell.begins(3); InstructorShell.ran(0)"
    )
    page.wait_for_timeout(300)
    expect(canvas).to_have_attribute("aria-busy", "true")
    page.evaluate("InstructorShell.ran(3)")
    expect(canvas).to_have_attribute("aria-busy", "false")


def test_an_error_looks_like_one_loses_nothing_and_figures_stay_dim_until_it_is_undone(page: Page):
    page.evaluate(EDIT)
    before, shown = texts(page).input_value(), cosine_matrices(page, 2)
    instruction(page, 0).fill("Represent the remark:")
    embed(page, 32)
    texts(page).fill("")
    error = page.locator("#status [role=alert]")
    expect(error).to_have_text("There is no text to embed. Write or paste one text per line.")
    colors = "['#status .ic-error', '#summary p'].map(it => getComputedStyle(document.querySelector(it)).color)"
    page.wait_for_function(f"new Set({colors}).size === 2")  # Gradio lets a colour come over by and by
    page.locator("#place-look").click()  # whatever else is done
    page.wait_for_timeout(600)
    assert page.evaluate(DIM)
    expect(instruction(page, 0)).to_have_value("Represent the remark:")
    expect(page.locator("#similarity-plots .ic-panel-title").first).to_have_text("Represent the remark:")
    expect(page.locator("#text-list [data-item]")).to_have_count(16)
    np.testing.assert_array_equal(matrices(page, 2)[1], shown[1])
    texts(page).fill(before)
    page.wait_for_function(CLEAR)
    expect(error).to_have_count(0)


def test_a_row_of_the_list_is_edited_in_place_and_keeps_its_label(page: Page):
    row = page.locator("#text-list [data-item='2']")
    row.dblclick()
    field = row.locator("input")
    expect(field).to_be_focused()
    before = field.input_value()
    field.fill("This is thrown away.")
    field.press("Escape")
    expect(row).to_contain_text(before)
    row.press("F2")
    field.fill("Nobody liked the new menu.")
    field.press("Enter")
    expect(status(page)).to_contain_text("2 new")
    expect(row).to_contain_text("Nobody liked the new menu.")
    expect(row.locator(".ic-label")).to_have_count(1)
    expect(row).to_be_focused()
    expect(page.locator("#text-list input[type=search]")).to_be_visible()
    lines = texts(page).input_value().split("\n")
    assert lines[2].startswith("Nobody liked the new menu.\t") and len(lines) == 16


def test_an_earlier_instruction_comes_back_in_the_place_of_the_second_one(page: Page):
    menu, second = page.locator("#earlier select"), instruction(page, 1)
    expect(menu).to_be_hidden()
    first_wording = second.input_value()
    page.locator("#chips [data-chip='0']").click()
    expect(second).not_to_have_value(first_wording)
    expect(menu).to_be_visible()
    menu.select_option(first_wording)
    expect(second).to_have_value(first_wording)
    page.wait_for_function(CLEAR)
    expect(menu.locator("option")).to_have_count(2)  # its own name, and the chip's instruction


def test_labels_written_alike_are_merged_by_a_click_and_a_foreign_text_is_named(page: Page):
    page.evaluate(EDIT)
    line = page.locator("#text-warnings")
    expect(line).to_have_text("")
    texts(page).fill(
        "Send it back.\tRefund\nMoney back!\trefund\nRepay me.\trefund\nIt broke.\tfault\n汤非常好喝。\trefund"
    )
    expect(line).to_contain_text('Two labels are written alike: "refund", "Refund"')
    expect(line).to_contain_text('1 label has one text: "fault"')
    expect(line).to_contain_text("1 of 5 texts (5) does not look like English")
    line.get_by_role("button", name="merge").click()
    expect(page.locator("#summary")).to_contain_text("5 texts · 2 labels")
    expect(line.get_by_role("button")).to_have_count(0)
    assert "Refund" not in texts(page).input_value()


def test_the_texts_stay_beside_a_view_that_is_longer_than_the_screen(page: Page) -> None:
    open_tab(page, "Why")
    drawn(page, "explain-plots", 3)
    page.wait_for_function("document.documentElement.scrollHeight > innerHeight + 600")
    page.evaluate("scrollTo(0, 600)")
    top, bottom = at_rest(
        page, "() => (({top, bottom}) => [top, bottom])(document.querySelector('.ic-drawer').getBoundingClientRect())"
    )
    assert 0 <= top < 20 and bottom > 400
    expect(page.locator("#text-list [data-item]").first).to_be_in_viewport()
