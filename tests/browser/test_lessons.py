"""Lessons run start to finish on the live page, on a screen and on a phone, in light and in dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from instructor_core.ui.inputs import format_texts
from instructor_core.ui.lessons import Lesson, Step, load_lessons
from tests.browser.conftest import Problems, Screen

LESSONS = load_lessons()
ANSWERED = ("neighbours", "average")  # on the live page as well; a choice and a change each
WIDE = Screen(1440, 900)
WAIT = 15_000  # ms; a first map compiles UMAP


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(str(page.evaluate("location.href"))).query)


def text_count(page: Page) -> int:
    return page.locator("#text-list li").count()


def reload(page: Page, problems: Problems) -> None:
    """Reloads the page; what Gradio says about the requests that the leaving page broke off is no problem of ours."""
    problems.allow("AbortError|Connection errored out|Connection to the server was lost")
    page.reload()


def at_step(page: Page, number: int) -> None:
    expect(page.locator(".ic-lesson-at")).to_contain_text(f"step {number} of", timeout=WAIT)


def check_the_page_is_set_up(page: Page, step: Step) -> None:
    page.wait_for_function("InstructorLessons.marked().length === 1", timeout=WAIT)
    outlined = "InstructorLessons.marked()[0].matches('.ic-inputs *') ? 'boxShadow' : 'outline'"
    assert "3px" in page.evaluate(f"getComputedStyle(InstructorLessons.marked()[0])[{outlined}]")
    expect(page.locator("#text-list li")).to_have_count(len(step.inputs.texts), timeout=WAIT)


def answer(page: Page, step: Step) -> None:
    if step.solution is None:
        page.locator(".ic-lesson-choice").nth(step.answer).click()
    else:
        field = page.locator("#texts textarea")
        field.fill(format_texts(step.solution))
        field.press("Tab")
    verdict = page.locator(".ic-lesson-verdict")
    expect(verdict).to_have_class("ic-lesson-verdict ic-verdict-right", timeout=WAIT)
    assert "{" not in verdict.inner_text()


def walk(page: Page, lesson: Lesson, *, answering: bool) -> None:
    """Opens every step of a lesson that has begun, and its end; the claims themselves are tested without a browser."""
    for number, step in enumerate(lesson.steps, start=1):
        at_step(page, number)
        assert query(page)["lesson"] == [lesson.id]
        check_the_page_is_set_up(page, step)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), (
            f"step {number} of {lesson.id} stands out of the page"
        )
        if answering:
            answer(page, step)
        page.locator(".ic-lesson-foot button").last.click()
    expect(page.locator(".ic-lesson-at")).to_have_text("finished")


@pytest.mark.parametrize(
    ("screen", "lessons"),
    [
        pytest.param(WIDE, LESSONS, id="1440-light"),
        pytest.param(Screen(390, 844, dark=True), LESSONS, id="390-dark"),
        pytest.param(Screen(1440, 900, dark=True), LESSONS[:1], id="1440-dark"),
        pytest.param(Screen(390, 844), LESSONS[:1], id="390-light"),
    ],
)
def test_lessons_run_from_start_to_finish_and_give_the_page_back(
    open_page: Callable[..., Page], screenshot: Callable[..., Path], screen: Screen, lessons: Sequence[Lesson]
) -> None:
    page = open_page(screen)
    page.locator("#text-list li").first.wait_for(state="attached", timeout=WAIT)
    own, choice = text_count(page), page.locator("#texts textarea").input_value()
    page.get_by_role("button", name="Start here").first.click()
    for lesson in lessons:
        walk(page, lesson, answering=lesson.id in ANSWERED and len(lessons) > 1)
        if lesson is not lessons[-1]:
            page.get_by_role("button", name="Next lesson: ").click()
    screenshot(page, f"lesson-end-{screen.width}-{'dark' if screen.dark else 'light'}")
    page.get_by_role("button", name="Back to my own texts").click()
    expect(page.locator("#text-list li")).to_have_count(own, timeout=WAIT)
    assert page.evaluate("InstructorLessons.marked().length") == 0
    expect(page.locator("#lesson-bar section")).to_be_hidden()
    assert page.locator("#texts textarea").input_value() == choice
    assert "lesson" not in query(page)
    page.get_by_role("tab", name="Learn", exact=True).click()
    assert page.locator(".ic-lesson-done").count() == len(lessons)


def test_what_a_lesson_set_in_a_view_is_put_back_for_who_comes_there_later(page: Page) -> None:
    step = next(step for lesson in LESSONS for step in lesson.steps if step.tab == "explain" and step.options)
    lesson = next(lesson for lesson in LESSONS if step in lesson.steps)
    page.get_by_role("tab", name="Explain", exact=True).click()
    own = "[...document.querySelectorAll('#explain-view input')].find(input => input.checked)?.value"
    page.wait_for_function(own)
    chosen = page.evaluate(own)
    page.get_by_role("tab", name="Learn", exact=True).click()
    page.locator(".ic-lesson-row", has_text=lesson.title).get_by_role("button").first.click()
    for number in range(1, lesson.steps.index(step) + 1):
        at_step(page, number)
        page.get_by_role("button", name="Next", exact=True).click()
    check_the_page_is_set_up(page, step)
    page.get_by_role("button", name="Leave").click()
    expect(page.locator("#lesson-bar section")).to_be_hidden()
    page.get_by_role("tab", name="Explain", exact=True).click()
    page.wait_for_function(f"{own} === {chosen!r}", timeout=WAIT)


def test_a_first_visit_is_two_clicks_from_the_first_surprise(page: Page) -> None:
    page.get_by_role("button", name="Start here").first.click()
    page.locator(".ic-lesson-choice").nth(LESSONS[0].steps[0].answer).click()
    expect(page.locator(".ic-lesson-verdict")).to_contain_text("the neighbours changed", timeout=WAIT)


def test_who_declines_the_way_in_is_not_asked_again(page: Page, problems: Problems) -> None:
    page.get_by_role("button", name="No, thanks").click()
    expect(page.locator("#lesson-bar section")).to_be_hidden()
    reload(page, problems)
    page.locator(".js-plotly-plot").first.wait_for()
    expect(page.locator("#lesson-bar section")).to_be_hidden()


def test_a_link_opens_its_step_and_a_reload_comes_back_to_it(
    open_page: Callable[..., Page], problems: Problems
) -> None:
    page = open_page(WIDE, "/?lesson=senses&step=2")
    at_step(page, 2)
    check_the_page_is_set_up(page, next(lesson for lesson in LESSONS if lesson.id == "senses").steps[1])
    page.get_by_role("button", name="Next", exact=True).click()
    at_step(page, 3)
    reload(page, problems)
    at_step(page, 3)


def test_progress_survives_a_reload(page: Page, problems: Problems) -> None:
    page.get_by_role("button", name="Start here").first.click()
    at_step(page, 1)
    page.get_by_role("button", name="Next", exact=True).click()
    at_step(page, 2)
    page.get_by_role("button", name="Leave").click()
    expect(page.locator("#lesson-bar section")).to_be_hidden()
    reload(page, problems)
    page.locator(".js-plotly-plot").first.wait_for()
    page.get_by_role("tab", name="Learn", exact=True).click()
    page.get_by_role("button", name=f"Continue: {LESSONS[0].title}").click()
    at_step(page, 2)


def test_an_unknown_lesson_in_a_link_is_passed_over(open_page: Callable[..., Page]) -> None:
    page = open_page(WIDE, "/?lesson=nowhere&step=1")
    page.locator(".js-plotly-plot").first.wait_for()
    expect(page.get_by_role("button", name="Start here").first).to_be_visible()


def test_show_me_puts_back_what_a_learner_played_with(page: Page) -> None:
    page.get_by_role("button", name="Start here").first.click()
    at_step(page, 1)
    field = page.locator("#texts textarea")
    field.fill("Something else.\nAnd more.")
    field.press("Tab")
    expect(page.locator("#text-list li")).to_have_count(2, timeout=WAIT)
    page.get_by_role("tab", name="Map", exact=True).click()
    page.get_by_role("button", name="Show me").click()
    check_the_page_is_set_up(page, LESSONS[0].steps[0])
    expect(page.locator("#similarity-plots")).to_be_visible()


def test_a_change_that_is_not_there_yet_is_told_with_its_numbers(open_page: Callable[..., Page]) -> None:
    page = open_page(WIDE, "/?lesson=neighbours&step=3")
    at_step(page, 3)
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.locator(".ic-verdict-not-yet")).to_contain_text("Not yet", timeout=WAIT)
    page.get_by_role("button", name="Do it for me").click()
    expect(page.locator(".ic-verdict-right")).to_contain_text("Done.", timeout=WAIT)


def test_the_presenter_view_is_driven_by_keys_and_leaves_only_the_lesson(open_page: Callable[..., Page]) -> None:
    page = open_page(WIDE, "/?lesson=senses&step=1")
    at_step(page, 1)
    page.get_by_role("button", name="Presenter view").click()
    for hidden in (".ic-header", ".ic-inputs", ".ic-options"):
        expect(page.locator(hidden).first).to_be_hidden()
    size = page.locator(".ic-lesson-say").evaluate("node => parseFloat(getComputedStyle(node).fontSize)")
    assert size >= 20
    page.wait_for_function(
        "document.querySelector('#similarity-plots .ic-plot')._fullLayout.xaxis.tickfont.size >= 16", timeout=WAIT
    )
    page.keyboard.press("1")
    expect(page.locator(".ic-verdict-right")).to_be_visible(timeout=WAIT)
    page.keyboard.press("n")
    at_step(page, 2)
    page.keyboard.press("p")
    at_step(page, 1)
    page.keyboard.press("Escape")
    expect(page.locator(".ic-header")).to_be_visible()


def test_the_presenter_view_sets_menus_that_it_does_not_show(open_page: Callable[..., Page]) -> None:
    page = open_page(WIDE, "/?lesson=marks&step=1")
    at_step(page, 1)
    page.get_by_role("button", name="Presenter view").click()
    page.keyboard.press("n")
    at_step(page, 2)
    titles = page.locator("#similarity-plots .ic-panel-title")
    expect(titles.last).to_contain_text("Instructions, mean over", timeout=WAIT)
    expect(page.locator(".ic-options").first).to_be_hidden()


def test_a_lesson_works_by_keyboard_alone(page: Page) -> None:
    page.get_by_role("button", name="Start here").first.focus()
    page.keyboard.press("Enter")
    at_step(page, 1)
    assert page.evaluate("document.activeElement.tagName") == "H2"
    for _ in range(5):  # copy, presenter, leave, the first choice, the second
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".ic-verdict-right")).to_be_visible(timeout=WAIT)
    assert page.locator(".ic-lesson-verdict").get_attribute("aria-live") == "polite"
    assert page.locator(".ic-lesson-choice").nth(1).get_attribute("aria-pressed") == "true"


def test_a_lesson_inherits_none_of_the_visitors_options(page: Page) -> None:
    scale = page.get_by_role("radiogroup", name="Colour scale").or_(page.locator("fieldset", has_text="Colour scale"))
    percentile, shared = (scale.first.get_by_label(name, exact=True) for name in ("percentile", "shared"))
    percentile.check()
    expect(page.locator("#similarity-plots .ic-panel").nth(3)).to_be_visible()  # the curves of unrelated sentences
    page.get_by_role("button", name="Start here").first.click()
    check_the_page_is_set_up(page, LESSONS[0].steps[0])
    expect(shared).to_be_checked()
    expect(page.locator("#similarity-plots .ic-panel")).to_have_count(2)
    page.get_by_role("button", name="Leave").click()
    expect(percentile).to_be_checked()
    expect(page.locator("#similarity-plots .ic-panel").nth(3)).to_be_visible()


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
    "neighbours": {"table": 7, 'tr:has(th:text("My pasta was cold"))': 7},
    "average": {".token.instruction": 16, ".token.text": 24, "svg[role=img]": 1},
    "search": {"table.large tbody tr": 48, 'figcaption:has-text("Rows under A, columns under B")': 3},
    "better": {'figcaption:has-text("kNN accuracy") + svg': 1, "table.large": 2, '.texts b:text-is("x")': 8},
    "map": {"svg[role=img]": 2, 'svg[role=img] text:text-is("16")': 2, 'svg[role=img] text:text-is("5")': 2},
}


def test_worksheets_print_the_figure_of_each_step_on_few_pages(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page()
    page.get_by_role("tab", name="Learn", exact=True).click()
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
