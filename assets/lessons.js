/* Lessons: the bar over the canvas, the list in Learn, and what a step marks on the live page. What a step shows
   is set by the server; here are its words, its mark, and progress, which is kept in this browser only. */
window.InstructorLessons = window.InstructorLessons || (() => {
  "use strict";

  const { el, button, component, saveFile, tell, lessMotion } = InstructorLinking;
  const KEY = "instructor-lessons"; // in localStorage: {at: {lesson: step}, done: [lesson, ...]}
  const PATIENCE = 8000; // ms that a view may take to appear
  const JUDGED = ["right", "wrong", "differs"]; // kinds of verdict on a choice
  const COPIED = 2500; // ms that the word stands
  const SHEET = "The lesson on paper: every step with its figure, and the answers";
  const ABOUT =
    "Each lesson works on the real page: it sets texts and instructions, opens a view and asks. " +
    "Your own are put back when you leave.";

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

  /** The address of this page with a step of a lesson, or without one. */
  function address(lesson, step) {
    const url = new URL(window.location.href);
    for (const [name, value] of Object.entries({ lesson, step })) {
      if (lesson) url.searchParams.set(name, value);
      else url.searchParams.delete(name);
    }
    return url;
  }

  const setAddress = (...place) => window.history.replaceState(window.history.state, "", address(...place));

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
    // What is asked about is not seen before there is an answer. The drawer cuts off what stands out, and Gradio gives
    // its fields no outline.
    sheet.replaceSync(
      looked &&
        `${figure ? alone(inTexts ? "" : look.at, figure) : ""}
        .ic-lesson-asking :is(#similarity-plots, #explain-plots) ${figure} .overplot { opacity: 0 }
        .ic-presenter .ic-view:has(~ ${look.at}), .ic-presenter ${look.at} ~ .ic-view { display: none !important }
        ${looked} { outline: 3px solid var(--ic-ink) !important; outline-offset: 5px !important; border-radius: 2px; }
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

    async function copyLink({ target }) {
      try {
        await navigator.clipboard.writeText(address(value.lesson, value.step).href);
        target.textContent = "Copied";
      } catch {
        target.textContent = "The address of this page is the link";
      }
      setTimeout(() => (target.textContent = "Copy link"), COPIED);
    }

    function present() {
      const on = document.body.classList.toggle("ic-presenter");
      rank(root.querySelector("h2"));
      root.querySelector("[aria-pressed]")?.setAttribute("aria-pressed", String(on));
      tell("letters"); // figures are drawn with larger or smaller ones
    }

    /** One click leads from the opening page into the first lesson, until a lesson was begun. */
    const first = element.querySelector(".ic-first");
    first.addEventListener("click", (event) => {
      event.preventDefault();
      open(first.dataset.lesson)();
    });
    const page = document.querySelector(".ic-page");
    const { at: begun, done: ended } = progress();
    if (page && !Object.keys(begun).length && !ended.length) page.before(first);
    else first.remove();

    /** The header of the page is hidden from an audience: the title of the lesson is the first heading then. */
    const rank = (title) => title?.setAttribute("aria-level", presenting() ? "1" : "2");

    function heading() {
      const title = el("h2", { role: "heading", tabindex: -1 }, value.title);
      rank(title);
      const large = { title: "Large type, few controls, keys n, p and 1 to 4", "aria-pressed": String(presenting()) };
      const tools = el(
        "div",
        "ic-lesson-tools",
        button("Copy link", "ic-lesson-quiet ic-lesson-copy", copyLink, { title: "A link that opens this step" }),
        button("Presenter view", "ic-lesson-quiet ic-lesson-present", present, large),
        button("Leave", "ic-lesson-quiet", act("leave"), { title: "Back to your own texts and instructions" }),
      );
      return el("header", "ic-lesson-head", title, el("span", "ic-lesson-at", where()), tools);
    }

    /** Where in the lesson the learner is, and on whose texts. */
    function where() {
      const own = value.free === "own" ? " · with your own texts" : "";
      return value.question ? `lesson ${value.number} · step ${value.step} of ${value.steps}${own}` : "finished";
    }

    function drawStep() {
      const choices = value.choices.map((words, choice) => button(words, "ic-lesson-choice", act("answer", { choice })));
      const check = button("Check", "ic-lesson-main", act("check"));
      const done = button(value.free ? "Show an example" : "Do it for me", "ic-lesson-quiet", act("solve"));
      const answers = el(
        "div",
        { class: "ic-lesson-answers", role: "group", "aria-labelledby": "lesson-question" },
        ...(choices.length ? choices : [check, done]),
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
      if (presenting()) present();
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
      const writing = value.free || value.look?.at.startsWith("#instruction");
      document.body.classList.toggle("ic-lesson-writing", Boolean(writing));
      if (value.lesson) drawInside(before);
      else drawOutside(before);
    }

    function drawInside(before) {
      root.hidden = false;
      first.remove();
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
      root.querySelector(".ic-lesson-at").textContent = where();
      drawVerdict(value.verdict ?? {});
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
      const step = { n: "next", p: "back", ...(free ? { ArrowRight: "next", ArrowLeft: "back" } : {}) }[event.key];
      const choice = Number(event.key) - 1;
      if (step) act(step)();
      else if (free && choice >= 0 && choice < value.choices.length) act("answer", { choice })();
      else if (event.key === "Escape") present();
      else return;
      event.preventDefault();
    });

    new IntersectionObserver(([entry]) => (back.hidden = entry.isIntersecting || !value.lesson)).observe(root);

    // A click on a mark in the Learn tab acts through the list; its focus goes to the bar as well.
    component(root, props, watch, draw, { "lesson-open": () => (acted = true) });
    const { lesson, step } = Object.fromEntries(new URLSearchParams(window.location.search));
    if (lesson) openFromAddress({ action: "open", lesson, step: Number(step) || 1 });

    /** What arrives before the page has drawn itself would be drawn over, however long that takes. */
    async function openFromAddress(wanted) {
      await until(() => document.querySelector("#text-list [data-item]"), Infinity);
      await until(() => document.querySelector(".js-plotly-plot"), Infinity);
      await pause(300);
      trigger(eventName, wanted);
    }
  }

  function mountList(element, props, watch, trigger, eventName) {
    const root = element.querySelector(".ic-lessons");
    const status = el("p", { class: "ic-lessons-note", role: "status" });
    const told = (words) => (status.textContent = words);
    let catalogue = null;

    const open = (lesson, step) => () => {
      tell("lesson-open");
      trigger(eventName, { action: "open", lesson, step });
    };

    function row({ id, title, goal, steps, minutes }, kept, isFirst) {
      const at = kept.at[id];
      const done = kept.done.includes(id);
      const state = done ? "done" : at > 1 ? `at step ${at} of ${steps}` : `${steps} steps · ${minutes} min`;
      const label = done ? "Again" : at > 1 ? "Continue" : isFirst ? "Start here" : "Start";
      const print = () => {
        told(`The worksheet of “${title}” is being written …`);
        trigger(eventName, { action: "worksheet", lesson: id, token: Date.now() }); // each click is news
      };
      const spoken = (words) => ({ "aria-label": `${words}: ${title}` });
      return el(
        "li",
        "ic-lesson-row",
        el("div", "ic-lesson-words", el("h3", "", title), el("p", "", goal)),
        el("span", `ic-lesson-state${done ? " ic-lesson-done" : ""}`, state),
        button(label, isFirst ? "ic-lesson-main" : "ic-lesson-quiet", open(id, done ? 1 : at || 1), spoken(label)),
        button("Worksheet", "ic-lesson-quiet", print, { title: SHEET, ...spoken("Worksheet") }),
      );
    }

    function entry({ term, means, lesson }) {
      const spoken = { "aria-label": `See ${term} in a lesson` };
      const see = lesson ? button("see it", "ic-lesson-link", open(lesson, 1), spoken) : null;
      return el("div", "", el("dt", "", term), el("dd", "", `${means} `, see));
    }

    function draw() {
      const { lessons, glossary } = catalogue;
      const kept = progress();
      const next = lessons.find((lesson) => !kept.done.includes(lesson.id)) || lessons[0];
      root.replaceChildren(
        el("h2", "", "Lessons"),
        el("p", "ic-lessons-note", ABOUT),
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

  /** Saves the page that comes as a value, and says so. */
  function mountDelivery(element, props, watch) {
    component(element, props, watch, (page) => {
      if (!page) return;
      tell("worksheet", page.error || `${page.name} is saved among your downloads. Open it to print it.`);
      if (!page.error) saveFile(page.html, page.name, "text/html");
    });
  }

  return { mountBar, mountList, mountDelivery, marked };
})();
