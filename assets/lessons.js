/* Lessons: the bar over the canvas, and what a step marks on the live page. What a step shows is set by the server; here
   are its words, its mark, and progress, which is kept in this browser only. */
window.InstructorLessons = window.InstructorLessons || (() => {
  "use strict";

  const { el, button, component, tell, lessMotion } = InstructorLinking;
  const { recall, store, until } = InstructorShell;
  const KEY = "instructor-lessons"; // in localStorage: {at: {lesson: step}, done: [lesson, ...]}
  const KEYS = { n: "next", p: "back", PageDown: "next", PageUp: "back" }; // what presenters' remote controls send
  const ARROWS = { ArrowRight: "next", ArrowLeft: "back" };
  const JUDGED = ["right", "wrong", "differs"]; // kinds of verdict on a choice
  const COPIED = 2500; // ms that the word stands
  const AUDIENCE = "The whole screen and large type; n and p go on and back, 1 to 4 answer, the space bar reveals";
  const SMALLEST = 16; // px of letters before an audience
  const EDGE = 14; // px that stay free there

  const presenting = () => document.body.classList.contains("ic-presenter");
  const motion = () => (lessMotion() ? "auto" : "smooth");

  // Without storage a lesson works as well; it is only not resumed.
  const progress = () => ({ at: {}, done: [], ...recall("localStorage", KEY) });

  function remember(change) {
    const now = progress();
    change(now);
    store("localStorage", KEY, now);
    tell("progress");
  }

  /** The address of this page with a step of a lesson, for an audience or not, or without one. */
  function address(lesson, step, present, from = window.location.href) {
    const url = new URL(from);
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
    // What is asked about is not seen before there is an answer. The drawer cuts off what stands out, and Gradio gives
    // its fields no outline.
    sheet.replaceSync(
      looked &&
        `${figure ? alone(inTexts ? "" : look.at, figure) : ""}
        .ic-lesson-asking :is(#similarity-plots, #explain-plots) ${figure} .overplot { opacity: 0 }
        .ic-presenter .ic-view:has(~ ${look.at}), .ic-presenter ${look.at} ~ .ic-view { display: none !important }
        body:not(.ic-presenter) ${looked} {
          outline: 3px solid var(--ic-ink) !important; outline-offset: 5px !important; border-radius: 2px;
        }
        .ic-drawer ${looked} { box-shadow: inset 0 0 0 3px var(--ic-ink) !important; outline: none !important; }`,
    );
    if (presenting()) tell("letters"); // the figure has other room than before
  }

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
    (document.querySelector("main") ?? document.body).append(back);

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
      if (on) focusTitle(); // the space bar would press the button that led here
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
      while (lowest() > window.innerHeight - EDGE && size > SMALLEST) {
        size -= 1;
        host.style.setProperty("--ic-body", `${size}px`);
      }
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
      const large = { title: AUDIENCE, "aria-pressed": String(presenting()) };
      const tools = el(
        "div",
        "ic-lesson-tools",
        button("Copy link", "ic-lesson-copy", copyLink, { title: "A link that opens this step" }),
        button("Presenter view", "ic-lesson-present", () => present(), large),
        button("Leave", "", act("leave"), { title: "Back to your own texts and instructions" }),
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
      const done = button(value.free ? "Show an example" : "Do it for me", "", act("solve"));
      const answers = el(
        "div",
        { class: "ic-lesson-answers", role: "group", "aria-labelledby": "lesson-question" },
        ...(choices.length ? choices : [check, done]),
      );
      const verdict = el("p", { role: "status", "aria-live": "polite" });
      const backward = button("Back", "", act("back"));
      const show = { title: "Sets the page up for this step and shows what to look at" };
      const forward = button(value.step === value.steps ? "Finish" : "Next", "ic-lesson-main", act("next"));
      backward.disabled = value.step === 1;
      root.replaceChildren(
        heading(),
        el("p", "ic-lesson-say", value.say),
        el("p", { class: "ic-lesson-question", id: "lesson-question" }, value.question),
        answers,
        verdict,
        el("div", "ic-lesson-foot", backward, button("Show me", "", act("show"), show), forward),
      );
      parts = { choices, verdict, forward };
    }

    function drawEnd() {
      const { next } = value;
      const foot = el(
        "div",
        "ic-lesson-foot",
        next ? button(`Next lesson: ${next.title}`, "ic-lesson-main", open(next.id)) : null,
        button("Back", "", act("back")),
        button("Back to my own texts", next ? "" : "ic-lesson-main", act("leave")),
      );
      root.replaceChildren(heading(), el("p", { class: "ic-lesson-say", role: "status" }, value.goal), foot);
      parts = null;
    }

    function drawVerdict({ kind = "", words = "", choice } = {}) {
      parts.verdict.className = `ic-lesson-verdict ic-verdict-${kind}`;
      if (parts.verdict.textContent !== words) parts.verdict.textContent = words;
      parts.choices.forEach((node, index) => node.setAttribute("aria-pressed", String(choice === index)));
      parts.forward.classList.toggle("ic-lesson-main", JUDGED.includes(kind));
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
      if (now?.follows && ["lesson", "step", "turn"].some((name) => now[name] !== value[name])) return;
      const before = value;
      value = now ?? {};
      const kinds = {
        on: value.lesson,
        asking: value.choices?.length && !JUDGED.includes(value.verdict?.kind), // what would give the answer away is hidden
        writing: value.free || value.look?.at.startsWith("#instruction"),
      };
      for (const [kind, on] of Object.entries(kinds)) document.body.classList.toggle(`ic-lesson-${kind}`, Boolean(on));
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
        remember(({ at, done }) => {
          if (!done.includes(value.lesson)) done.push(value.lesson);
          delete at[value.lesson];
        });
      } else if (!sameStep) {
        drawStep();
        setAddress(value.lesson, value.step);
        remember(({ at }) => (at[value.lesson] = value.step));
      }
      if (acted && !sameStep) focusTitle();
      if (!value.question) return;
      root.querySelector(".ic-lesson-at").textContent = where();
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
    // What stands over a figure may grow once it is drawn: a fingerprint that takes a second line.
    new ResizeObserver(() => {
      if (presenting() && document.documentElement.scrollHeight > window.innerHeight) tell("letters");
    }).observe(document.body);

    const inSight = (entries) => (back.hidden = entries.at(-1).isIntersecting || !value.lesson);
    new IntersectionObserver(inSight).observe(root);

    // A click on a mark in the Learn tab acts through the list; its focus goes to the bar as well.
    component(root, props, watch, draw, { "lesson-open": () => (acted = true) });
    const { lesson, step, present: presented } = Object.fromEntries(new URLSearchParams(window.location.search));
    if (lesson) openFromAddress({ action: "open", lesson, step: Number(step) || 1 });

    /** What arrives before the page has drawn itself would be drawn over, however long that takes. */
    async function openFromAddress(wanted) {
      for (const drawn of ["#text-list [data-item]", ".js-plotly-plot"]) {
        await until(() => document.querySelector(drawn), Infinity);
      }
      await new Promise((done) => setTimeout(done, 300));
      trigger(eventName, wanted);
      if (presented !== undefined && (await until(() => value.lesson))) present(true);
    }
  }

  return { mountBar, progress, address, copy, marked };
})();
