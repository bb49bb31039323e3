/* Lessons: the bar over the canvas, the list in Learn, and what a step marks on the live page. What a step shows
   is set by the server; here are its words, its mark, and progress, which is kept in this browser only. */
window.InstructorLessons = window.InstructorLessons || (() => {
  "use strict";

  const { el, button, component, saveFile, tell, lessMotion } = InstructorLinking;
  const KEY = "instructor-lessons"; // in localStorage: {at: {lesson: step}, done: [lesson, ...]}
  const PATIENCE = 8000; // ms that a view may take to appear
  const KEYS = { n: "next", p: "back", PageDown: "next", PageUp: "back" }; // what presenters' remote controls send
  const ARROWS = { ArrowRight: "next", ArrowLeft: "back" };
  const JUDGED = ["right", "wrong", "differs"]; // kinds of verdict on a choice
  const COPIED = 2500; // ms that the word stands
  const SMALLEST = 16; // px of letters before an audience
  const SHEET = "The lesson on paper: every step with its figure and a code that opens it; answers if you want them";
  const WRITING = "The worksheet is being written …";
  const ABOUT =
    "Each lesson works on the real page: it sets texts and instructions, opens a view and asks. " +
    "Your own are put back when you leave.";
  const TEACHING =
    "Every step sets the whole page, so that all see the same, and its question is judged by the checkpoint in use. " +
    "Before an audience n and p go on and back, 1 to 4 answer, and the space bar reveals.";

  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const motion = () => (lessMotion() ? "auto" : "smooth");

  async function until(find, patience = PATIENCE) {
    for (let waited = 0; waited < patience && !find(); waited += 80) await pause(80);
    return find();
  }

  // Without storage a lesson works as well; it is only not resumed.
  const stored = (use) => InstructorShell.kept("localStorage", use);
  const progress = () => ({ at: {}, done: [], ...stored((storage) => JSON.parse(storage.getItem(KEY))) });

  function remember(change) {
    const now = progress();
    change(now);
    stored((storage) => storage.setItem(KEY, JSON.stringify(now)));
    tell("progress");
  }

  /** The address of this page with a step of a lesson, for an audience or not, or without one. */
  function address(lesson, step, present) {
    const url = new URL(window.location.href);
    for (const [name, value] of Object.entries({ lesson, step, present: present ? "1" : null })) {
      if (lesson && value) url.searchParams.set(name, value);
      else url.searchParams.delete(name);
    }
    return url;
  }

  const setAddress = (lesson, step) =>
    window.history.replaceState(window.history.state, "", address(lesson, step, presenting()));

  /** Copies words, and says so on the button for a moment. */
  async function copy(button, words, otherwise) {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(words);
      button.textContent = "Copied";
    } catch {
      button.textContent = otherwise;
    }
    setTimeout(() => (button.textContent = before), COPIED);
  }

  let looked = ""; // selector of what a step marks
  const sheet = new CSSStyleSheet(); // of rules, since views redraw at their own time
  document.adoptedStyleSheets.push(sheet);

  /** Rules that put a figure first on a narrow page, and show an audience no other of its view. */
  const alone = (view, figure) => `@media (max-width: 900px) { ${view} ${figure} { order: -1 } }
    .ic-presenter .ic-view${view}:has(${figure}) .ic-grid { grid-template-columns: minmax(0, 1fr) !important }
    .ic-presenter .ic-view${view}:has(${figure}) .ic-panel:not(${figure}) { display: none }`;

  /** What is marked: a figure or a field inside the element where there is one, else the whole. */
  function setLook(look) {
    const inTexts = look?.at === "#texts";
    const figure = look?.panel ? `.ic-panel[data-chip="${look.panel}"]` : "";
    const inner = inTexts ? "textarea" : figure;
    looked = !inner ? (look?.at ?? "") : `:is(${look.at} ${inner}, ${look.at}:not(:has(${inner})))`;
    if (inTexts || document.body.classList.contains("ic-lesson-change")) {
      InstructorShell.edit(inTexts);
      InstructorShell.sheet(inTexts);
    }
    document.body.classList.toggle("ic-lesson-change", inTexts);
    // The drawer cuts off what stands out, and Gradio gives its fields no outline.
    sheet.replaceSync(
      looked &&
        `${figure ? alone(inTexts ? "" : look.at, figure) : ""}
        .ic-presenter .ic-view:has(~ ${look.at}), .ic-presenter ${look.at} ~ .ic-view { display: none !important }
        body:not(.ic-presenter) ${looked} { outline: 3px solid var(--ic-ink) !important; outline-offset: 5px !important; border-radius: 2px; }
        .ic-drawer ${looked} { box-shadow: inset 0 0 0 3px var(--ic-ink) !important; outline: none !important; }`,
    );
    if (presenting()) tell("letters"); // the figure has other room than before
  }

  const presenting = () => document.body.classList.contains("ic-presenter");

  const marked = () =>
    looked ? [...document.querySelectorAll(looked)].filter((node) => node.getClientRects().length) : [];

  /** Brings the marked element into view, below the bar where that stays in place. */
  async function scrollToLook(bar) {
    const node = await until(() => marked()[0]);
    if (!node) return;
    const fixed = getComputedStyle(bar).position === "sticky" ? bar.getBoundingClientRect().height : 0;
    const room = node.getBoundingClientRect();
    if (room.top >= fixed && room.bottom <= window.innerHeight) return;
    window.scrollTo({ top: window.scrollY + room.top - fixed - 16, behavior: motion() });
  }

  function mountBar(element, props, watch, trigger, eventName) {
    const root = element.querySelector(".ic-lesson");
    const host = element.closest("#lesson-bar") || element;
    let value = {};
    let parts = null; // nodes of the step on screen
    let acted = false; // whether the visitor did something in the bar: focus follows only then

    const act = (action, more) => () => {
      acted = true;
      trigger(eventName, { action, ...more });
    };
    const open = (lesson) => act("open", { lesson, step: 1 });
    const focusTitle = () => root.querySelector("h2")?.focus({ preventScroll: true });
    const toBar = () => host.scrollIntoView({ behavior: motion(), block: "start" });
    const back = button("Back to the lesson", "ic-lesson-return", () => {
      toBar();
      focusTitle();
    });
    back.hidden = true;
    document.body.append(back);

    const copyLink = ({ target }) =>
      copy(target, address(value.lesson, value.step).href, "The address of this page is the link");

    /** Shows the step to an audience, or no longer; on all of the screen where a click or a key has asked for it. */
    function present(on = !presenting()) {
      document.body.classList.toggle("ic-presenter", on);
      if (on && navigator.userActivation?.isActive) document.documentElement.requestFullscreen?.().catch(() => {});
      else if (!on && document.fullscreenElement) document.exitFullscreen();
      rank(root.querySelector("h2"));
      root.querySelector("[aria-pressed]")?.setAttribute("aria-pressed", String(on));
      if (value.lesson) setAddress(value.lesson, value.step);
      if (on) window.scrollTo(0, 0);
      fit();
      tell("letters"); // figures are drawn with larger or smaller ones
    }

    /** Nobody scrolls before an audience: where words are many, they are smaller. */
    function fit() {
      host.style.removeProperty("--ic-body");
      if (!presenting()) return;
      const lowest = () => Math.max(...[host, drawer].map((node) => node?.getBoundingClientRect().bottom ?? 0));
      const drawer = document.querySelector(".ic-drawer");
      let size = parseFloat(getComputedStyle(host).getPropertyValue("--ic-body"));
      while (lowest() > window.innerHeight && size > SMALLEST) host.style.setProperty("--ic-body", `${(size -= 1)}px`);
    }

    /** The header of the page is hidden from an audience: the title of the lesson is the first heading then. */
    const rank = (title) => title?.setAttribute("aria-level", presenting() ? "1" : "2");

    function heading() {
      const title = el("h2", { role: "heading", tabindex: -1 }, value.title);
      rank(title);
      const at = value.question ? `lesson ${value.number} · step ${value.step} of ${value.steps}` : "finished";
      const large = { title: "The whole screen, large type, and keys: n and p go on and back, 1 to 4 answer, the space bar reveals", "aria-pressed": String(presenting()) };
      const tools = el(
        "div",
        "ic-lesson-tools",
        button("Copy link", "ic-lesson-quiet ic-lesson-copy", copyLink, { title: "A link that opens this step" }),
        button("Presenter view", "ic-lesson-quiet ic-lesson-present", present, large),
        button("Leave", "ic-lesson-quiet", act("leave"), { title: "Back to your own texts and instructions" }),
      );
      return el("header", "ic-lesson-head", title, el("span", "ic-lesson-at", at), tools);
    }

    function drawStep() {
      const choices = value.choices.map((words, choice) => button(words, "ic-lesson-choice", act("answer", { choice })));
      const check = button("Check", "ic-lesson-main", act("check"));
      const answers = el(
        "div",
        { class: "ic-lesson-answers", role: "group", "aria-labelledby": "lesson-question" },
        ...(choices.length ? choices : [check, button("Do it for me", "ic-lesson-quiet", act("solve"))]),
      );
      const verdict = el("p", { role: "status", "aria-live": "polite" });
      const backward = button("Back", "ic-lesson-quiet", act("back"));
      const show = { title: "Sets the page up for this step and shows what to look at" };
      const forward = button(value.step === value.steps ? "Finish" : "Next", "ic-lesson-main", act("next"));
      backward.disabled = value.step === 1;
      root.replaceChildren(
        heading(),
        el("p", "ic-lesson-say", value.say),
        el("p", { class: "ic-lesson-question", id: "lesson-question" }, value.question),
        answers,
        verdict,
        el("div", "ic-lesson-foot", backward, button("Show me", "ic-lesson-quiet", act("show"), show), forward),
      );
      parts = { choices, verdict, forward };
    }

    function drawEnd() {
      const { next } = value;
      const foot = el(
        "div",
        "ic-lesson-foot",
        next ? button(`Next lesson: ${next.title}`, "ic-lesson-main", open(next.id)) : null,
        button("Back", "ic-lesson-quiet", act("back")),
        button("Back to my own texts", next ? "ic-lesson-quiet" : "ic-lesson-main", act("leave")),
      );
      root.replaceChildren(heading(), el("p", { class: "ic-lesson-say", role: "status" }, value.goal), foot);
      parts = null;
    }

    function drawVerdict({ kind = "", words = "", choice } = {}) {
      parts.verdict.className = `ic-lesson-verdict ic-verdict-${kind}`;
      if (parts.verdict.textContent !== words) parts.verdict.textContent = words;
      parts.choices.forEach((node, index) => node.setAttribute("aria-pressed", String(choice === index)));
      parts.forward.className = JUDGED.includes(kind) ? "ic-lesson-main" : "ic-lesson-quiet";
    }

    function drawOutside(before) {
      root.hidden = true;
      if (!before.lesson) return;
      if (presenting()) present(false);
      back.hidden = true;
      setLook(null);
      parts = null;
      setAddress();
    }

    function draw(now) {
      const before = value;
      value = now ?? {};
      document.body.classList.toggle("ic-lesson-on", Boolean(value.lesson));
      // What would give the answer away is not seen before there is one.
      const open = value.choices?.length && !JUDGED.includes(value.verdict?.kind);
      document.body.classList.toggle("ic-lesson-asking", Boolean(open));
      if (value.lesson) drawInside(before);
      else drawOutside(before);
    }

    function drawInside(before) {
      root.hidden = false;
      const sameStep = before.lesson === value.lesson && before.step === value.step && parts;
      if (!value.question) {
        drawEnd();
        setLook(null);
        remember((kept) => {
          kept.done = [...new Set([...kept.done, value.lesson])];
          delete kept.at[value.lesson];
        });
      } else if (!sameStep) {
        drawStep();
        setAddress(value.lesson, value.step);
        remember((kept) => (kept.at[value.lesson] = value.step));
      }
      if (acted && !sameStep) focusTitle();
      if (!value.question) return;
      drawVerdict(value.verdict ?? {});
      fit();
      if (sameStep && value.verdict && JSON.stringify(before.verdict) !== JSON.stringify(value.verdict)) return;
      setLook(value.look);
      const { top } = host.getBoundingClientRect();
      if (acted && sameStep) scrollToLook(host);
      else if (acted && (top < 0 || top >= window.innerHeight / 2)) toBar();
    }

    document.addEventListener("keydown", (event) => {
      if (!value.question || !presenting() || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input, textarea, select, [contenteditable]")) return;
      const free = document.activeElement === document.body || root.contains(document.activeElement);
      const step = KEYS[event.key] ?? (free ? ARROWS[event.key] : undefined);
      const choice = Number(event.key) - 1;
      const reveals = event.key === " " && !document.activeElement.matches("button");
      if (step) act(step)();
      else if (reveals) act(value.choices.length ? "reveal" : "solve")();
      else if (free && choice >= 0 && choice < value.choices.length) act("answer", { choice })();
      else if (event.key === "f") document.documentElement.requestFullscreen?.().catch(() => {});
      else if (event.key === "Escape") present(false);
      else return;
      event.preventDefault();
    });
    document.addEventListener("fullscreenchange", () => document.fullscreenElement || !presenting() || present(false));
    window.addEventListener("resize", () => {
      if (!presenting()) return;
      fit();
      tell("letters");
    });

    new IntersectionObserver(([entry]) => (back.hidden = entry.isIntersecting || !value.lesson)).observe(root);

    // A click on a mark in the Learn tab acts through the list; its focus goes to the bar as well.
    component(root, props, watch, draw, { "lesson-open": () => (acted = true) });
    const { lesson, step, present: presented } = Object.fromEntries(new URLSearchParams(window.location.search));
    if (lesson) openFromAddress({ action: "open", lesson, step: Number(step) || 1 });

    /** What arrives before the page has drawn itself would be drawn over, however long that takes. */
    async function openFromAddress(wanted) {
      await until(() => document.querySelector("#text-list [data-item]"), Infinity);
      await until(() => document.querySelector(".js-plotly-plot"), Infinity);
      await pause(300);
      trigger(eventName, wanted);
      if (presented !== undefined && (await until(() => value.lesson))) present(true);
    }
  }

  function mountList(element, props, watch, trigger, eventName, printName) {
    const root = element.querySelector(".ic-lessons");
    const status = el("p", { class: "ic-lessons-note", role: "status" });
    const told = (words) => (status.textContent = words);
    let catalogue = null;

    const open = (lesson, step) => () => {
      tell("lesson-open");
      trigger(eventName, { action: "open", lesson, step });
    };

    function row({ id, title, goal, questions, minutes }, kept, isFirst) {
      const steps = questions.length;
      const at = kept.at[id];
      const done = kept.done.includes(id);
      const state = done ? "done" : at > 1 ? `at step ${at} of ${steps}` : `${steps} steps · ${minutes} min`;
      const label = done ? "Again" : at > 1 ? "Continue" : isFirst ? "Start here" : "Start";
      const sheet = () => print(trigger, printName, id);
      const spoken = (words) => ({ "aria-label": `${words}: ${title}` });
      return el(
        "li",
        "ic-lesson-row",
        el("div", "ic-lesson-words", el("h3", "", title), el("p", "", goal)),
        el("span", `ic-lesson-state${done ? " ic-lesson-done" : ""}`, state),
        button(label, isFirst ? "ic-lesson-main" : "ic-lesson-quiet", open(id, done ? 1 : at || 1), spoken(label)),
        button("Worksheet", "ic-lesson-quiet", sheet, { title: SHEET, ...spoken("Worksheet") }),
      );
    }

    /** One lesson for who teaches it: what it asks, its addresses, its sheets, and the line that puts it into a page. */
    function taught({ id, title, goal, questions, minutes }) {
      const link = (words, url) => el("a", { href: url.href, target: "_blank" }, words);
      const sheet = (words, answers) => button(words, "ic-lesson-quiet", () => print(trigger, printName, id, answers));
      const escaped = InstructorFigure.escape(title).replaceAll('"', "&quot;");
      const src = InstructorFigure.escape(address(id, 1).href);
      const line = `<iframe src="${src}" title="${escaped}" width="100%" height="800" allow="fullscreen"></iframe>`;
      const take = button("Copy", "ic-lesson-quiet", ({ target }) => copy(target, line, "Copy it from here:"));
      return el(
        "li",
        "ic-taught",
        el("h3", "", `${title}, ${minutes} min`),
        el("p", "", goal),
        el("ol", "", ...questions.map((question) => el("li", "", question))),
        el("p", "ic-taught-links", link("Lesson", address(id, 1)), link("For an audience", address(id, 1, true))),
        el("p", "ic-taught-sheets", sheet("Worksheet"), sheet("Worksheet with answers", true)),
        el("p", "ic-taught-frame", el("code", "", line), take),
      );
    }

    function drawTaught() {
      const { lessons } = catalogue;
      const minutes = lessons.reduce((sum, lesson) => sum + lesson.minutes, 0);
      const back = button("All lessons", "ic-lesson-quiet", () => teach(false));
      const paper = button("Print this page", "ic-lesson-quiet", () => window.print());
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
      const kept = progress();
      const next = lessons.find((lesson) => !kept.done.includes(lesson.id)) || lessons[0];
      root.replaceChildren(
        el("h2", { tabindex: -1 }, "Lessons"),
        el("p", "ic-lessons-note", ABOUT, " ", button("For instructors", "ic-lesson-link", () => teach(true))),
        status,
        el("ol", "ic-lesson-rows", ...lessons.map((lesson) => row(lesson, kept, lesson === next))),
        el("h2", "", "Glossary"),
        el("dl", "ic-glossary", ...glossary.map(entry)),
      );
    }

    const accept = (value) => {
      catalogue = value;
      draw();
    };
    component(root, props, watch, accept, { progress: draw, worksheet: told });
  }

  const waiting = new Map(); // mark of a click -> the tab that it opened; null where a blocker kept it shut

  /** Asks for a worksheet, of a lesson or of the view on screen; its tab opens at once, as no blocker minds a click. */
  function print(trigger, eventName, lesson, answers) {
    const token = crypto.getRandomValues(new Uint32Array(2)).join("-");
    const tab = window.open("", "_blank");
    if (tab) tab.document.body.textContent = WRITING;
    waiting.set(token, tab);
    tell("worksheet", WRITING);
    trigger(eventName, { lesson, answers, token, at: window.location.origin + window.location.pathname });
  }

  function mountPrint(element, trigger, eventName) {
    element.querySelector("button").addEventListener("click", () => print(trigger, eventName));
  }

  /** Fills the tab that waits for the page which comes as a value; where none could open, the page is saved. */
  function mountDelivery(element, props, watch) {
    component(element, props, watch, (page) => {
      if (!page || !waiting.has(page.token)) return;
      const tab = waiting.get(page.token);
      waiting.delete(page.token);
      const done = tab ? "The worksheet is in a tab of its own." : `${page.name} is saved among your downloads. Open it to print it.`;
      tell("worksheet", page.error ?? done);
      if (tab?.closed) return;
      if (page.error) tab?.document.body.replaceChildren(page.error);
      else if (tab) tab.location.replace(URL.createObjectURL(new Blob([page.html], { type: "text/html" })));
      else saveFile(page.html, page.name, "text/html");
    });
  }

  return { mountBar, mountList, mountPrint, mountDelivery, marked };
})();
