"""Lessons run from start to finish on the live page, on a screen and on a phone, before an audience and on paper."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from instructor_core.ui.data.inputs import format_texts
from instructor_core.ui.learn.lessons import Lesson, Step, load_lessons
from tests.browser.conftest import PHONE, Problems, Screen
from tests.browser.reading import at_rest, open_panel, open_tab
from tests.browser.test_accessibility import violations

LESSONS = load_lessons()
BY_ID = {lesson.id: lesson for lesson in LESSONS}
ANSWERED = ("neighbours", "average")  # on the live page as well; a choice and a change each
WIDE, BEAMER, LARGE = Screen(1440, 900), Screen(1280, 720), Screen(1920, 1080)
# Every lesson once, and every size of the page in light and in dark.
WALKS = (
    (BEAMER, LESSONS[:2]),
    (replace(BEAMER, dark=True), LESSONS[2:4]),
    (PHONE, LESSONS[4:6]),
    (replace(PHONE, dark=True), LESSONS[9:10]),
    (WIDE, LESSONS[6:9]),
    (replace(WIDE, dark=True), LESSONS[10:]),
)


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
    page.wait_for_function("InstructorLessons.marked().length === 1")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
    top, marked = at_rest(page, TOPS)
    assert min(top, marked) < 100 and max(top, marked) < PHONE.height, (name, top, marked)


# What an audience cannot read: beyond the edge of the screen, or small.
UNREAD = """() => {
  const found = [], all = document.createTreeWalker(document.querySelector('.ic-page'), NodeFilter.SHOW_TEXT);
  while (all.nextNode()) {
    const words = all.currentNode, {parentElement: node} = words, range = document.createRange();
    if (!words.data.trim() || !node.checkVisibility({visibilityProperty: true}) || node.closest('.ic-hidden')) continue;
    range.selectNodeContents(words);
    const {left, right, top, bottom, width} = range.getBoundingClientRect();
    const inside = left > -1 && top > -1 && right < innerWidth + 1 && bottom < innerHeight + 1;
    if (width && (!inside || parseFloat(getComputedStyle(node).fontSize) < 16)) found.push(words.data);
  }
  const seen = (hooks) => [...document.querySelectorAll(hooks)].filter(node => node.checkVisibility());
  const low = seen('.ic-plot, textarea').filter(node => node.getBoundingClientRect().bottom > innerHeight + 1);
  const {scrollHeight} = document.documentElement;
  return [...found, ...low.map(node => node.className), ...(scrollHeight > innerHeight ? [`${scrollHeight} px`] : []),
    ...(seen('.ic-main .ic-plot svg, .ic-main .ic-token').length ? [] : ['no figure'])];
}"""


def check_an_audience_reads_it_all(page: Page, name: str) -> None:
    """Nothing of the presenter view is cut or small, on a usual projector and on a large one."""
    before = page.viewport_size
    page.get_by_role("button", name="Presenter view").click()
    for screen in (BEAMER, LARGE):
        page.set_viewport_size({"width": screen.width, "height": screen.height})
        for _ in range(100):  # figures are drawn anew
            page.wait_for_timeout(100)
            unread = page.evaluate(UNREAD)
            if not unread:
                break
        assert not unread, (name, screen)
    page.keyboard.press("Escape")
    assert before is not None
    page.set_viewport_size(before)


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


def walk(page: Page, lesson: Lesson, screen: Screen, seen: set[str]) -> None:
    """Opens every step of a lesson that has begun, and its end; the claims themselves are tested without a browser."""
    for number, step in enumerate(lesson.steps, start=1):
        at_step(page, number)
        assert query(page)["lesson"] == [lesson.id]
        check_the_page_is_set_up(page, step)
        name, kind = f"step {number} of {lesson.id}", step.look.at + str(step.options.get(f"{step.tab}.view"))
        if step.choices:
            check_it_keeps_its_secret(page, step)
        if screen.width == PHONE.width and not step.free:
            check_it_fits_a_phone(page, name)
        elif screen.width > PHONE.width and kind not in seen:
            seen.add(kind)
            check_an_audience_reads_it_all(page, name)
        if lesson.id in ANSWERED:
            answer(page, step)
        page.locator(".ic-lesson-foot button").last.click()
    expect(page.locator(".ic-lesson-at")).to_have_text("finished")


@pytest.mark.parametrize(("screen", "lessons"), WALKS, ids=lambda each: "")
def test_lessons_run_from_start_to_finish_and_give_the_page_back(
    open_page: Callable[..., Page], screen: Screen, lessons: tuple[Lesson, ...]
) -> None:
    page = open_page(screen)
    rows = page.locator("#text-list li")
    rows.first.wait_for(state="attached")
    own, typed = rows.count(), page.locator("#texts textarea").input_value()
    expect(page.locator("#lesson-bar section")).to_be_hidden()  # nobody is asked to begin
    start(page, "Start here" if lessons[0] is LESSONS[0] else "Start", lessons[0])
    seen: set[str] = set()
    for lesson in lessons:
        walk(page, lesson, screen, seen)
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


def test_the_presenter_view_opens_from_a_link_and_is_driven_by_keys(
    open_page: Callable[..., Page], screenshot: Callable[..., Path]
) -> None:
    page = open_page(BEAMER, "/?lesson=marks&step=2&present=1")
    at_step(page, 2)
    for hidden in (".ic-header", ".ic-inputs", ".ic-drawer", ".ic-bottom"):
        expect(page.locator(hidden).first).to_be_hidden()
    # A menu that nobody sees is set as well.
    expect(page.locator("#similarity-plots .ic-panel-title").last).to_contain_text("Instructions, mean")
    page.keyboard.press("PageDown")
    at_step(page, 3)
    text = BY_ID["marks"].steps[2].inputs.texts[0][:8]
    page.wait_for_function(
        "text => InstructorLessons.marked()[0]?.querySelector('.ic-plot')?._fullLayout?.yaxis.ticktext?.[0]"
        ".includes(text)",
        arg=text,
    )
    assert page.locator("#similarity-plots .ic-panel").filter(visible=True).count() == 1
    numbers = page.locator("#similarity-plots .ic-panel:visible .heatmap-label").first
    expect(numbers).to_be_hidden()  # until there is an answer
    page.keyboard.press("Space")
    expect(page.locator(".ic-verdict-right")).to_be_visible()
    expect(numbers).to_be_visible()
    screenshot(page, "presenter")
    page.keyboard.press("p")
    at_step(page, 2)
    assert query(page)["present"] == ["1"]
    page.keyboard.press("Escape")
    expect(page.locator(".ic-header")).to_be_visible()
    assert "present" not in query(page)
    page.get_by_role("button", name="Presenter view").click()
    page.keyboard.press("Space")  # reveals, and does not press that button again
    expect(page.locator(".ic-verdict-right")).to_be_visible()
    expect(page.locator(".ic-header")).to_be_hidden()


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


def sheet_of(page: Page, button: str) -> Page:
    """The tab with the worksheet that a button opens."""
    with page.context.expect_page() as opened:
        page.get_by_role("button", name=button, exact=True).first.click()
    opened.value.locator("main section").first.wait_for()
    return opened.value


def pages(sheet: Page) -> int:
    return len(re.findall(rb"/Type */Page\b", sheet.pdf(prefer_css_page_size=True)))


STEP_HEIGHTS = "[...document.querySelectorAll('section')].map(step => step.getBoundingClientRect().height)"
A4_BETWEEN_MARGINS = (297 - 2 * 14) / 25.4 * 96  # px

# What must stand on the worksheet of a lesson, as CSS selectors with their number: the figures it asks about.
ON_PAPER = {
    "neighbours": {"table": 9, 'tr:has(th:text("My pasta was cold"))': 9},
    "average": {".token.instruction": 16, ".token.text": 24, "svg[role=img]": 1},
    "search": {"table.large tbody tr": 64, 'figcaption:has-text("Rows under A, columns under B")': 4},
    "better": {'figcaption:has-text("kNN accuracy") + svg': 1, "table.large": 3, '.texts b:text-is("x")': 8},
    "map": {"svg[role=img]": 4, 'svg[role=img] text:text-is("16")': 4, 'svg[role=img] text:text-is("5")': 4},
}


def test_worksheets_print_the_figure_of_each_step_on_few_pages_with_the_answers_only_if_asked(
    open_page: Callable[..., Page],
) -> None:
    page = open_page()
    page.locator("#place-learn").click()
    for lesson in (lesson for lesson in LESSONS if lesson.id in ON_PAPER):
        sheet = sheet_of(page, f"Worksheet: {lesson.title}")
        for what, count in ON_PAPER[lesson.id].items():
            assert sheet.locator(what).count() == count, f"{lesson.id}: {what}"
        step = f"{page.url.split('?')[0]}?lesson={lesson.id}&step={len(lesson.steps)}"
        assert sheet.locator(".code:has(svg) a").last.get_attribute("href") == step
        words = sheet.locator("body").inner_text()
        assert "{" not in words and "does otherwise" not in words and "Answers" not in words
        assert pages(sheet) <= len(lesson.steps), lesson.id
        assert max(sheet.evaluate(STEP_HEIGHTS)) <= A4_BETWEEN_MARGINS, lesson.id
        sheet.get_by_label("With the answers").check()
        expect(sheet.locator(".answers li")).to_have_count(len(lesson.steps))
        assert pages(sheet) <= len(lesson.steps) + 1, lesson.id
        sheet.emulate_media(media="print")
        expect(sheet.get_by_role("button", name="Print")).to_be_hidden()
        sheet.close()
    sheet_of(page, f"Worksheet: {lesson.title}").close()  # the same one again
    page.evaluate("window.open = () => null")  # as where a blocker is strict
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Worksheet: {lesson.title}").click()
    assert download.value.suggested_filename == f"lesson-{lesson.id}.html"


def test_what_is_on_screen_has_a_worksheet_whose_link_opens_it(open_page: Callable[..., Page]) -> None:
    page = open_page()
    open_tab(page, "Matrix")
    open_panel(page, "share")
    sheet = sheet_of(page, "Worksheet of this view")
    expect(sheet.locator("h1")).to_have_text("Matrix: One matrix per instruction")
    assert sheet.locator("table").count() == 2 and sheet.locator(".texts li").count() == 16
    assert pages(sheet) <= 2
    link = sheet.locator(".code:has(svg) a").get_attribute("href")
    sheet.goto(str(link))
    expect(sheet.get_by_role("tab", name="Matrix")).to_have_attribute("aria-selected", "true")


def test_instructors_find_every_lesson_on_one_page_and_put_one_into_theirs(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.locator("#place-learn").click()
    page.get_by_role("button", name="For instructors").click()
    taught = page.locator(".ic-taught")
    expect(taught).to_have_count(len(LESSONS))
    for lesson, text in zip(LESSONS, taught.all_inner_texts(), strict=True):
        assert all(words in text for words in (lesson.title, lesson.goal, f"{lesson.minutes} min"))
        assert all(step.question in text for step in lesson.steps)
    sheet = sheet_of(page, "Worksheet with answers")
    expect(sheet.locator(".answers")).to_be_visible()
    assert violations(page) == violations(sheet) == []
    assert pages(page) <= 4
    frame = taught.nth(3).locator("code").inner_text()
    course = page.context.new_page()
    course.set_content(frame)
    inside = course.frame_locator("iframe")
    expect(inside.locator(".ic-lesson-at")).to_have_text(f"lesson 4 · step 1 of {len(LESSONS[3].steps)}")
    inside.locator(".ic-lesson-choice").nth(LESSONS[3].steps[0].answer).click()
    expect(inside.locator(".ic-verdict-right")).to_be_visible()
    page.get_by_role("button", name="All lessons").click()
    expect(page.locator(".ic-lesson-row")).to_have_count(len(LESSONS))
