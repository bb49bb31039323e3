"""Lessons run from start to finish on the live page, on a screen and on a phone, before an audience and on paper."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from instructor_core.ui.inputs import format_texts
from instructor_core.ui.lessons import Lesson, Step, load_lessons
from tests.browser.conftest import PHONE, Problems, Screen
from tests.browser.reading import at_rest, choose, open_tab

pytestmark = pytest.mark.browser

LESSONS = load_lessons()
BY_ID = {lesson.id: lesson for lesson in LESSONS}
ANSWERED = ("neighbours", "average")  # on the live page as well; a choice and a change each
WIDE = Screen(1440, 900)


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(str(page.evaluate("location.href"))).query)


TOPS = """[document.querySelector('.ic-lesson'), InstructorLessons.marked()[0]]
  .map(node => node ? Math.round(node.getBoundingClientRect().top + scrollY) : NaN)"""


def at_step(page: Page, number: int) -> None:
    expect(page.locator(".ic-lesson-at")).to_contain_text(f"step {number} of")


def start(page: Page, label: str, lesson: Lesson) -> None:
    """Opens a lesson from the list."""
    page.locator("#place-learn").click()
    page.get_by_role("button", name=f"{label}: {lesson.title}").click()


def leave(page: Page) -> None:
    page.get_by_role("button", name="Leave").click()
    expect(page.locator("#lesson-bar section")).to_be_hidden()


def check_the_page_is_set_up(page: Page, step: Step) -> None:
    page.wait_for_function("InstructorLessons.marked().length === 1")
    outlined = "InstructorLessons.marked()[0].matches('.ic-drawer *') ? 'boxShadow' : 'outline'"
    assert "3px" in page.evaluate(f"getComputedStyle(InstructorLessons.marked()[0])[{outlined}]")
    expect(page.locator("#text-list li")).to_have_count(len(step.inputs.texts))


def check_it_fits_a_phone(page: Page, name: str) -> None:
    """The lesson begins on the first screen, and so does what it marks unless much is to be read."""
    page.set_viewport_size({"width": PHONE.width, "height": PHONE.height})
    page.wait_for_function("InstructorLessons.marked().length === 1")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
    top, marked = at_rest(page, TOPS)
    assert min(top, marked) < 100 and max(top, marked) < PHONE.height, (name, top, marked)
    page.set_viewport_size({"width": WIDE.width, "height": WIDE.height})


# What would give the answer away: numbers anywhere, and the figure that is asked about.
GIVEN_AWAY = """look => [...document.querySelectorAll('.heatmap-label, .ic-fingerprint, #why-card, .ic-findings li, ' +
    '.ic-scale-ticks, ' + (/similarity|explain/.test(look.at) ? `${look.at} ${look.panel} .overplot` : 'none'))]
  .filter(node => node.textContent.trim() && node.checkVisibility({visibilityProperty: true, opacityProperty: true}))
  .map(node => node.outerHTML.slice(0, 200))"""


def check_it_keeps_its_secret(page: Page, step: Step) -> None:
    panel = f'.ic-panel[data-chip="{step.look.panel}"]' if step.look.panel else ""
    assert at_rest(page, GIVEN_AWAY, {"at": step.look.at, "panel": panel}) == [], step.question


def answer(page: Page, step: Step) -> None:
    if step.solution is None:
        page.locator(".ic-lesson-choice").nth(step.answer).click()
    elif step.free:
        page.get_by_role("button", name="Show an example").click()
    else:
        page.locator("#texts textarea").fill(format_texts(step.solution))
    verdict = page.locator(".ic-lesson-verdict")
    expect(verdict).to_have_class("ic-lesson-verdict ic-verdict-right")
    assert "{" not in verdict.inner_text()


def walk(page: Page, lesson: Lesson, seen: set[str]) -> None:
    """Opens every step of a lesson that has begun, and its end; the claims themselves are tested without a browser."""
    for number, step in enumerate(lesson.steps, start=1):
        at_step(page, number)
        assert query(page)["lesson"] == [lesson.id]
        check_the_page_is_set_up(page, step)
        if step.choices:
            check_it_keeps_its_secret(page, step)
        if step.look.at not in seen and not step.free:  # what can come out otherwise on a phone
            seen.add(step.look.at)
            check_it_fits_a_phone(page, f"step {number} of {lesson.id}")
        if lesson.id in ANSWERED:
            answer(page, step)
        page.locator(".ic-lesson-foot button").last.click()
    expect(page.locator(".ic-lesson-at")).to_have_text("finished")


@pytest.mark.parametrize("lessons", [LESSONS[:4], LESSONS[4:8], LESSONS[8:]], ids=lambda some: some[0].id)
def test_lessons_run_from_start_to_finish_on_a_screen_and_a_phone_and_give_the_page_back(
    open_page: Callable[..., Page], lessons: tuple[Lesson, ...]
) -> None:
    page = open_page(WIDE)
    rows = page.locator("#text-list li")
    rows.first.wait_for(state="attached")
    own, typed = rows.count(), page.locator("#texts textarea").input_value()
    expect(page.locator("#lesson-bar section")).to_be_hidden()  # nobody is asked to begin
    start(page, "Start here" if lessons[0] is LESSONS[0] else "Start", lessons[0])
    seen: set[str] = set()
    for lesson in lessons:
        walk(page, lesson, seen)
        if lesson is not lessons[-1]:
            page.get_by_role("button", name="Next lesson: ").click()
    page.get_by_role("button", name="Back to my own texts").click()
    expect(rows).to_have_count(own)
    assert page.evaluate("InstructorLessons.marked().length") == 0
    expect(page.locator("#lesson-bar section")).to_be_hidden()
    assert page.locator("#texts textarea").input_value() == typed
    assert "lesson" not in query(page)
    page.locator("#place-learn").click()
    assert page.locator(".ic-lesson-done").count() == len(lessons)


def test_a_lesson_inherits_none_of_the_visitors_options_and_puts_them_back(page: Page) -> None:
    open_tab(page, "Why")
    view = page.locator("#explain-view")
    view.get_by_label("attention").check()
    open_tab(page, "Matrix")
    page.locator("#tab-similarity .ic-drawn > button").click()
    scale = page.get_by_label("Colour scale", exact=True)
    choose(page, scale, "cosine, each its own")
    start(page, "Start", BY_ID["cosine"])
    at_step(page, 1)
    expect(scale).to_have_value("cosine, one scale")
    for number in (1, 2):
        at_step(page, number)
        page.get_by_role("button", name="Next", exact=True).click()
    check_the_page_is_set_up(page, BY_ID["cosine"].steps[2])
    expect(view.get_by_label("why similar")).to_be_checked()
    leave(page)
    open_tab(page, "Matrix")
    expect(scale).to_have_value("cosine, each its own")
    open_tab(page, "Why")
    expect(view.get_by_label("attention")).to_be_checked()


def test_a_link_opens_its_step_and_a_reload_comes_back_to_it(
    open_page: Callable[..., Page], problems: Problems
) -> None:
    senses = BY_ID["senses"]
    page = open_page(WIDE, "/?lesson=senses&step=2")
    at_step(page, 2)
    check_the_page_is_set_up(page, senses.steps[1])
    page.get_by_role("button", name="Next", exact=True).click()
    at_step(page, 3)
    # What Gradio says about the requests that the leaving page broke off is no problem of ours.
    problems.allow("AbortError|Connection errored out|Connection to the server was lost")
    page.reload()
    at_step(page, 3)
    check_the_page_is_set_up(page, senses.steps[2])
    leave(page)
    start(page, "Continue", senses)
    at_step(page, 3)


def test_a_change_is_judged_with_its_numbers_and_what_was_played_with_is_put_back(
    open_page: Callable[..., Page],
) -> None:
    step = LESSONS[0].steps[2]
    page = open_page(WIDE, "/?lesson=neighbours&step=3")
    at_step(page, 3)
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.locator(".ic-verdict-not-yet")).to_contain_text("Not yet")
    page.locator("#texts textarea").fill("Something else.\nAnd more.")
    expect(page.locator(".ic-verdict-not-yet")).to_contain_text("puts them back")
    open_tab(page, "Map")
    page.get_by_role("button", name="Show me").click()
    check_the_page_is_set_up(page, step)
    expect(page.locator("#similarity-plots")).to_be_visible()
    page.get_by_role("button", name="Do it for me").click()
    expect(page.locator(".ic-verdict-right")).to_contain_text("Done.")
    leave(page)
    expect(page.locator("#text-list")).to_be_visible()


def test_the_presenter_view_shows_one_figure_with_its_texts_and_is_driven_by_keys(
    open_page: Callable[..., Page], screenshot: Callable[..., Path]
) -> None:
    page = open_page(Screen(1280, 720), "/?lesson=marks&step=1")
    at_step(page, 1)
    page.get_by_role("button", name="Presenter view").click()
    for hidden in (".ic-header", ".ic-inputs", ".ic-drawer", ".ic-bottom"):
        expect(page.locator(hidden).first).to_be_hidden()
    size = page.locator(".ic-lesson-say").evaluate("node => parseFloat(getComputedStyle(node).fontSize)")
    assert size >= 20
    page.keyboard.press("n")
    at_step(page, 2)
    # A menu that nobody sees is set as well.
    expect(page.locator("#similarity-plots .ic-panel-title").last).to_contain_text("Instructions, mean")
    page.keyboard.press("n")
    at_step(page, 3)
    text = BY_ID["marks"].steps[2].inputs.texts[0][:8]
    page.wait_for_function(
        "text => InstructorLessons.marked()[0]?.querySelector('.ic-plot')?._fullLayout?.yaxis.ticktext?.[0]"
        ".includes(text)",
        arg=text,
    )
    assert page.locator("#similarity-plots .ic-panel").filter(visible=True).count() == 1
    assert (
        page.evaluate("InstructorLessons.marked()[0].querySelector('.ic-plot')._fullLayout.xaxis.tickfont.size") >= 16
    )
    numbers = page.locator("#similarity-plots .ic-panel:visible .heatmap-label").first
    expect(numbers).to_be_hidden()  # until there is an answer
    page.keyboard.press("1")
    expect(page.locator(".ic-verdict-right")).to_be_visible()
    expect(numbers).to_be_visible()
    screenshot(page, "presenter")
    lowest = page.evaluate(
        "Math.max(...['.ic-lesson', '#similarity-plots .ic-grid']"
        ".map(hook => document.querySelector(hook).getBoundingClientRect().bottom))"
    )
    assert lowest <= 720
    page.keyboard.press("p")
    at_step(page, 2)
    page.keyboard.press("Escape")
    expect(page.locator(".ic-header")).to_be_visible()


def test_a_lesson_is_one_key_from_the_first_screen_and_works_by_keyboard_alone(page: Page) -> None:
    page.locator(".ic-fingerprint").first.wait_for()  # the last to come: the page listens
    page.get_by_role("link", name="New here? Lesson 1").focus()
    page.keyboard.press("Enter")
    at_step(page, 1)
    expect(page.locator(".ic-first")).to_have_count(0)
    assert page.evaluate("document.activeElement.tagName") == "H2"
    for _ in range(5):  # copy, presenter, leave, the first choice, the second
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".ic-verdict-right")).to_contain_text("the neighbours changed")
    assert page.locator(".ic-lesson-verdict").get_attribute("aria-live") == "polite"
    assert page.locator(".ic-lesson-choice").nth(1).get_attribute("aria-pressed") == "true"


def saved_sheet(page: Page, lesson: Lesson, folder: Path) -> str:
    """The address of a worksheet as the page saves it."""
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Worksheet: {lesson.title}").click()
    name = f"lesson-{lesson.id}.html"
    assert download.value.suggested_filename == name
    expect(page.locator(".ic-lessons [role=status]")).to_contain_text(f"{name} is saved")
    download.value.save_as(folder / name)
    return (folder / name).as_uri()


# What must stand on the worksheet of a lesson, as CSS selectors with their number: the figures it asks about.
ON_PAPER = {
    "neighbours": {"table": 9, 'tr:has(th:text("My pasta was cold"))': 9},
    "average": {".token.instruction": 16, ".token.text": 24, "svg[role=img]": 1},
    "search": {"table.large tbody tr": 64, 'figcaption:has-text("Rows under A, columns under B")': 4},
    "better": {'figcaption:has-text("kNN accuracy") + svg': 1, "table.large": 3, '.texts b:text-is("x")': 8},
    "map": {"svg[role=img]": 4, 'svg[role=img] text:text-is("16")': 4, 'svg[role=img] text:text-is("5")': 4},
}


def test_worksheets_print_the_figure_of_each_step_on_few_pages(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page()
    page.locator("#place-learn").click()
    sheet = page.context.new_page()
    for lesson in (lesson for lesson in LESSONS if lesson.id in ON_PAPER):
        sheet.goto(saved_sheet(page, lesson, tmp_path))
        for what, count in ON_PAPER[lesson.id].items():
            assert sheet.locator(what).count() == count, f"{lesson.id}: {what}"
        words = sheet.locator("body").inner_text()
        assert "{" not in words and "does otherwise" not in words
        n_pages = len(re.findall(rb"/Type */Page\b", sheet.pdf(prefer_css_page_size=True)))
        assert n_pages <= len(lesson.steps) + 1, lesson.id
    saved_sheet(page, lesson, tmp_path)  # the same one again
