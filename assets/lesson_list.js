/* The list of lessons in Learn, its page for instructors, and what is printed: a tab that opens at a click and is filled
   by the page that the server writes. */
window.InstructorLessonList = window.InstructorLessonList || (() => {
  "use strict";

  const { el, button, component, saveFile, tell } = InstructorLinking;
  const { progress, address, copy } = InstructorLessons;
  const SHEET = "The lesson on paper: every step with its figure and a code that opens it; answers if you want them";
  const WRITING = "The worksheet is being written …";
  const ABOUT =
    "Each lesson works on the real page: it sets texts and instructions, opens a view and asks. " +
    "Your own are put back when you leave.";
  const TEACHING =
    "Every step sets the whole page, so that all see the same, and its question is judged by the checkpoint in use. " +
    "Before an audience n and p go on and back, 1 to 4 answer, and the space bar reveals.";

  const page = () => window.location.origin + window.location.pathname;

  function mountList(element, props, watch, trigger, eventName, printName) {
    const root = element.querySelector(".ic-lessons");
    const status = el("p", { class: "ic-lessons-note", role: "status" });
    const say = (words) => (status.textContent = words);
    let catalogue = null;

    const open = (lesson, step) => () => {
      tell("lesson-open");
      trigger(eventName, { action: "open", lesson, step });
    };

    function row({ id, title, goal, questions, minutes }, { at: begun, done: ended }, isFirst) {
      const steps = questions.length;
      const [at, done] = [begun[id], ended.includes(id)];
      const state = done ? "done" : at > 1 ? `at step ${at} of ${steps}` : `${steps} steps · ${minutes} min`;
      const label = done ? "Again" : at > 1 ? "Continue" : isFirst ? "Start here" : "Start";
      const sheet = () => print(trigger, printName, id);
      const spoken = (words) => ({ "aria-label": `${words}: ${title}` });
      return el(
        "li",
        "ic-lesson-row",
        el("div", "ic-lesson-words", el("h3", "", title), el("p", "", goal)),
        el("span", `ic-lesson-state${done ? " ic-lesson-done" : ""}`, state),
        button(label, isFirst ? "ic-lesson-main" : "", open(id, done ? 1 : at || 1), spoken(label)),
        button("Worksheet", "", sheet, { title: SHEET, ...spoken("Worksheet") }),
      );
    }

    /** One lesson for who teaches it: what it asks, its addresses, its sheets, and the line that puts it into a page. */
    function taught({ id, title, goal, questions, minutes }) {
      const link = (words, url) => el("a", { href: url.href, target: "_blank" }, words);
      const sheet = (words, answers) => button(words, "", () => print(trigger, printName, id, answers));
      const at = (present) => address(id, 1, present, page());
      const size = { width: "100%", height: 800, allow: "fullscreen" };
      const line = el("iframe", { src: at().href, title, ...size }).outerHTML;
      const take = button("Copy", "", ({ target }) => copy(target, line, "Copy it from here:"));
      return el(
        "li",
        "ic-taught",
        el("h3", "", `${title}, ${minutes} min`),
        el("p", "", goal),
        el("ol", "", ...questions.map((question) => el("li", "", question))),
        el("p", "ic-taught-links", link("Lesson", at()), link("For an audience", at(true))),
        el("p", "ic-taught-sheets", sheet("Worksheet"), sheet("Worksheet with answers", true)),
        el("p", "ic-taught-frame", el("code", "", line), take),
      );
    }

    function drawTaught() {
      const { lessons } = catalogue;
      const minutes = lessons.reduce((sum, lesson) => sum + lesson.minutes, 0);
      const back = button("All lessons", "", () => teach(false));
      const paper = button("Print this page", "", () => window.print());
      root.replaceChildren(
        el("h2", { tabindex: -1 }, "For instructors"),
        el("p", "ic-lessons-note", `${lessons.length} lessons, ${minutes} minutes. ${TEACHING}`),
        el("p", "ic-taught-sheets", back, paper),
        status,
        el("ol", "ic-lesson-rows", ...lessons.map(taught)),
      );
    }

    function teach(on) {
      document.body.classList.toggle("ic-teaching", on);
      draw();
      root.querySelector("h2").focus();
    }

    function entry({ term, means, lesson }) {
      const spoken = { "aria-label": `See ${term} in a lesson` };
      const see = lesson ? button("see it", "ic-lesson-link", open(lesson, 1), spoken) : null;
      return el("div", "", el("dt", "", term), el("dd", "", `${means} `, see));
    }

    function draw() {
      if (document.body.classList.contains("ic-teaching")) return drawTaught();
      const { lessons, glossary } = catalogue;
      const now = progress();
      const next = lessons.find((lesson) => !now.done.includes(lesson.id)) || lessons[0];
      root.replaceChildren(
        el("h2", { tabindex: -1 }, "Lessons"),
        el("p", "ic-lessons-note", ABOUT, " ", button("For instructors", "ic-lesson-link", () => teach(true))),
        status,
        el("ol", "ic-lesson-rows", ...lessons.map((lesson) => row(lesson, now, lesson === next))),
        el("h2", "", "Glossary"),
        el("dl", "ic-glossary", ...glossary.map(entry)),
      );
    }

    const accept = (value) => {
      catalogue = value;
      draw();
    };
    component(root, props, watch, accept, { progress: draw, worksheet: say });
  }

  const waiting = new Map(); // mark of a click -> the tab that it opened; null where a blocker kept it shut

  /** Asks for a worksheet, of a lesson or of the view on screen; its tab opens at once, as no blocker minds a click. */
  function print(trigger, eventName, lesson, answers) {
    const token = crypto.getRandomValues(new Uint32Array(2)).join("-");
    const tab = window.open("", "_blank");
    if (tab) tab.document.body.textContent = WRITING;
    waiting.set(token, tab);
    tell("worksheet", WRITING);
    trigger(eventName, { lesson, answers, token, at: page() });
  }

  function mountPrint(element, trigger, eventName) {
    element.querySelector("button").addEventListener("click", () => print(trigger, eventName));
  }

  /** Fills the tab that waits for the page which comes as a value; where none could open, the page is saved. */
  function mountDelivery(element, props, watch) {
    component(element, props, watch, (sheet) => {
      if (!sheet || !waiting.has(sheet.token)) return;
      const tab = waiting.get(sheet.token);
      waiting.delete(sheet.token);
      const saved = `${sheet.name} is saved among your downloads. Open it to print it.`;
      tell("worksheet", sheet.error ?? (tab ? "The worksheet is in a tab of its own." : saved));
      if (tab?.closed) return;
      if (sheet.error) tab?.document.body.replaceChildren(sheet.error);
      else if (tab) tab.location.replace(URL.createObjectURL(new Blob([sheet.html], { type: "text/html" })));
      else saveFile(sheet.html, sheet.name, "text/html");
    });
  }

  return { mountList, mountPrint, mountDelivery };
})();
