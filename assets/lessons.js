/* Lessons: the bar over the tabs, the list in the Learn tab, and what a step marks on the live page. Progress is kept in this browser only. Words reach the page as text nodes only. */
window.InstructorLessons = window.InstructorLessons || (() => {
  "use strict";

  const KEY = "instructor-lessons"; // in localStorage: {at: {lesson: step}, done: [lesson, ...], declined: bool}
  const PROGRESS = "instructor:lesson-progress";
  const DELIVERED = "instructor:worksheet";
  const MARK = "ic-look";
  const PATIENCE = 8000; // ms that a view may take to appear
  function el(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function button(text, className, action, hint) {
    const node = el("button", className, text);
    node.type = "button";
    if (hint) node.title = hint;
    node.addEventListener("click", action);
    return node;
  }

  const visible = (node) => Boolean(node && node.getClientRects().length);
  const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));

  /** Whether the top of an element can be seen. */
  function inSight(node) {
    const { top } = node.getBoundingClientRect();
    return top >= 0 && top < window.innerHeight / 2;
  }

  async function until(find, patience = PATIENCE) {
    for (let waited = 0; waited < patience; waited += 80) {
      const found = find();
      if (found) return found;
      await pause(80);
    }
    return null;
  }

  // ------------------------------------------------------------------------------------------------- progress

  function progress() {
    const empty = { at: {}, done: [], declined: false };
    try {
      return { ...empty, ...JSON.parse(localStorage.getItem(KEY) || "{}") };
    } catch {
      return empty; // storage is off, or holds something else
    }
  }

  function remember(change) {
    const kept = progress();
    change(kept);
    try {
      localStorage.setItem(KEY, JSON.stringify(kept));
    } catch {
      // Without storage a lesson works as well; it is only not resumed.
    }
    document.dispatchEvent(new CustomEvent(PROGRESS));
  }

  function address(lesson, step) {
    const url = new URL(window.location.href);
    if (lesson) {
      url.searchParams.set("lesson", lesson);
      url.searchParams.set("step", String(step));
    } else {
      url.searchParams.delete("lesson");
      url.searchParams.delete("step");
    }
    return url;
  }

  const setAddress = (lesson, step) => window.history.replaceState(window.history.state, "", address(lesson, step));

  // ------------------------------------------------------------------------------------------------- marks

  let look = null;
  let marking = 0;

  function targets() {
    const found = look && document.querySelector(look.at);
    const base = found?.querySelector(":scope textarea") || found;
    if (!visible(base)) return [];
    if (look.panel) {
      const panel = [...base.querySelectorAll(".ic-panel")].find(
        (node) => node.querySelector(".ic-chip")?.textContent === look.panel,
      );
      if (panel) return [panel];
    }
    return [base];
  }

  function mark() {
    const found = targets();
    for (const node of document.querySelectorAll(`.${MARK}`)) if (!found.includes(node)) node.classList.remove(MARK);
    for (const node of found) node.classList.add(MARK);
    return found;
  }

  // Views redraw at their own time; what is marked stays marked.
  const watcher = new MutationObserver(() => {
    cancelAnimationFrame(marking);
    marking = requestAnimationFrame(mark);
  });

  function setLook(next) {
    look = next;
    watcher.disconnect();
    document.body.classList.toggle("ic-inputs-open", Boolean(next && /texts|text-list|instruction/.test(next.at)));
    mark();
    if (next) watcher.observe(document.body, { childList: true, subtree: true });
  }

  /** Brings the marked element into view, below the bar where that stays in place. */
  async function scrollToLook(bar) {
    const [node] = (await until(() => targets().length && targets())) || [];
    if (!node) return;
    mark();
    const fixed = getComputedStyle(bar).position === "sticky" ? bar.getBoundingClientRect().height : 0;
    const room = node.getBoundingClientRect();
    if (room.top >= fixed && room.bottom <= window.innerHeight) return;
    window.scrollTo({ top: window.scrollY + room.top - fixed - 16, behavior: calm() ? "auto" : "smooth" });
  }

  // ------------------------------------------------------------------------------------------------- the bar

  function mountBar(element, props, watch, trigger, eventName) {
    const root = element.querySelector(".ic-lesson");
    const host = element.closest("#lesson-bar") || element;
    const back = button("Back to the lesson", "ic-lesson-return", () => {
      host.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "start" });
      root.querySelector("h2")?.focus({ preventScroll: true });
    });
    back.hidden = true;
    document.body.append(back);
    const send = (action, more) => trigger(eventName, { action, ...more });
    let value = {};
    let parts = null; // nodes of the step on screen
    let acted = false; // whether the visitor did something in the bar: focus follows only then

    const act = (action, more) => () => {
      acted = true;
      send(action, more);
    };

    // -------------------------------------------------------------------------------------- what is drawn

    function invitation(first) {
      const kept = progress();
      const known = kept.declined || kept.done.length || Object.keys(kept.at).length;
      root.hidden = Boolean(known);
      root.replaceChildren();
      if (known) return;
      const words = el("p", "", "New here? See what an instruction does, with one question.");
      const start = button("Start here", "ic-lesson-main", act("open", { lesson: first, step: 1 }));
      const decline = button("No, thanks", "ic-lesson-quiet", () => {
        remember((progress) => (progress.declined = true));
        root.hidden = true;
      });
      root.className = "ic-lesson ic-lesson-invitation";
      root.replaceChildren(words, start, decline);
    }

    function tools() {
      const bar = el("div", "ic-lesson-tools");
      const copied = button("Copy link", "ic-lesson-quiet", async () => {
        try {
          await navigator.clipboard.writeText(address(value.lesson, value.step).href);
          copied.textContent = "Copied";
        } catch {
          copied.textContent = "The address of this page is the link";
        }
        setTimeout(() => (copied.textContent = "Copy link"), 2500);
      }, "A link that opens this step");
      const large = button("Presenter view", "ic-lesson-quiet", present, "Large type, few controls, keys n, p and 1 to 4");
      large.setAttribute("aria-pressed", String(presenting()));
      const leave = button("Leave", "ic-lesson-quiet", act("leave"), "Back to your own texts and instructions");
      bar.append(copied, large, leave);
      return bar;
    }

    const presenting = () => document.body.classList.contains("ic-presenter");

    function present() {
      const on = document.body.classList.toggle("ic-presenter");
      rank(root.querySelector("h2"));
      root.querySelector("[aria-pressed]")?.setAttribute("aria-pressed", String(on));
      document.dispatchEvent(new CustomEvent("instructor:letters")); // figures are drawn with larger or smaller ones
    }

    /** The header of the page is hidden from an audience: the title of the lesson is the first heading then. */
    function rank(title) {
      title?.setAttribute("role", "heading");
      title?.setAttribute("aria-level", presenting() ? "1" : "2");
    }

    function heading() {
      const head = el("header", "ic-lesson-head");
      const title = el("h2", "", value.title);
      rank(title);
      title.tabIndex = -1;
      const at = el("span", "ic-lesson-at");
      at.textContent = value.question ? `lesson ${value.number} · step ${value.step} of ${value.steps}` : "finished";
      head.append(title, at, tools());
      return head;
    }

    function drawStep() {
      root.className = "ic-lesson";
      const answers = el("div", "ic-lesson-answers");
      answers.setAttribute("role", "group");
      const question = el("p", "ic-lesson-question", value.question);
      question.id = "lesson-question";
      answers.setAttribute("aria-labelledby", question.id);
      value.choices.forEach((choice, index) => answers.append(button(choice, "ic-lesson-choice", act("answer", { choice: index }))));
      if (!value.choices.length) {
        answers.append(
          button("Check", "ic-lesson-main", act("check")),
          button("Do it for me", "ic-lesson-quiet", act("solve")),
        );
      }
      const verdict = el("p", "ic-lesson-verdict");
      verdict.setAttribute("role", "status");
      verdict.setAttribute("aria-live", "polite");
      const foot = el("div", "ic-lesson-foot");
      const backward = button("Back", "ic-lesson-quiet", act("back"));
      backward.disabled = value.step === 1;
      const show = button("Show me", "ic-lesson-quiet", act("show"), "Sets the page up for this step and shows what to look at");
      const forward = button(value.step === value.steps ? "Finish" : "Next", "ic-lesson-main", act("next"));
      foot.append(backward, show, forward);
      root.replaceChildren(heading(), el("p", "ic-lesson-say", value.say), question, answers, verdict, foot);
      parts = { answers, verdict, forward };
    }

    function drawEnd() {
      root.className = "ic-lesson";
      const foot = el("div", "ic-lesson-foot");
      if (value.next) {
        foot.append(button(`Next lesson: ${value.next.title}`, "ic-lesson-main", act("open", { lesson: value.next.id, step: 1 })));
      }
      foot.append(
        button("Back", "ic-lesson-quiet", act("back")),
        button("Back to my own texts", value.next ? "ic-lesson-quiet" : "ic-lesson-main", act("leave")),
      );
      const words = el("p", "ic-lesson-say", value.goal);
      words.setAttribute("role", "status");
      root.replaceChildren(heading(), words, foot);
      parts = null;
    }

    function drawVerdict() {
      const { verdict } = value;
      const kind = verdict ? verdict.kind : "";
      parts.verdict.className = `ic-lesson-verdict ic-verdict-${kind}`;
      if (parts.verdict.textContent !== (verdict?.words ?? "")) parts.verdict.textContent = verdict?.words ?? "";
      [...parts.answers.querySelectorAll(".ic-lesson-choice")].forEach((node, index) => {
        node.setAttribute("aria-pressed", String(verdict?.choice === index));
      });
      parts.forward.classList.toggle("ic-lesson-main", kind === "right" || kind === "wrong" || kind === "differs");
      parts.forward.classList.toggle("ic-lesson-quiet", !parts.forward.classList.contains("ic-lesson-main"));
    }

    // -------------------------------------------------------------------------------------- a new value

    function close() {
      if (presenting()) present();
      document.body.classList.remove("ic-lesson-on", "ic-lesson-change");
      back.hidden = true;
      setLook(null);
      parts = null;
    }

    function draw() {
      const before = value;
      value = props.value ? JSON.parse(props.value) : {};
      root.hidden = false;
      if (!value.lesson) {
        if (before.lesson) {
          close();
          setAddress(null);
        }
        invitation(value.first);
        return;
      }
      const sameStep = before.lesson === value.lesson && before.step === value.step && parts;
      document.body.classList.add("ic-lesson-on");
      if (!value.question) {
        drawEnd();
        setLook(null);
        document.body.classList.remove("ic-lesson-change");
        remember((kept) => {
          kept.done = [...new Set([...kept.done, value.lesson])];
          delete kept.at[value.lesson];
        });
        if (acted) root.querySelector("h2").focus({ preventScroll: true });
        return;
      }
      document.body.classList.toggle("ic-lesson-change", !value.choices.length);
      if (!sameStep) {
        drawStep();
        setAddress(value.lesson, value.step);
        remember((kept) => (kept.at[value.lesson] = value.step));
        if (acted) root.querySelector("h2").focus({ preventScroll: true });
      }
      drawVerdict();
      if (sameStep && value.verdict && JSON.stringify(before.verdict) !== JSON.stringify(value.verdict)) return;
      setLook(value.look);
      if (acted && sameStep) scrollToLook(host);
      else if (acted && !inSight(host)) host.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "start" });
    }

    // -------------------------------------------------------------------------------------- keys, return, link

    document.addEventListener("keydown", (event) => {
      if (!value.question || !presenting()) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const free = document.activeElement === document.body || root.contains(document.activeElement);
      if (event.target.closest("input, textarea, select, [contenteditable]")) return;
      const step = { n: "next", p: "back", ...(free ? { ArrowRight: "next", ArrowLeft: "back" } : {}) }[event.key];
      const choice = Number(event.key) - 1;
      if (step) act(step)();
      else if (free && choice >= 0 && choice < value.choices.length) act("answer", { choice })();
      else if (event.key === "Escape") present();
      else return;
      event.preventDefault();
    });

    new IntersectionObserver(([entry]) => {
      back.hidden = entry.isIntersecting || !value.lesson;
    }).observe(root);

    // A click on a mark in the Learn tab acts through the list; its focus goes to the bar as well.
    document.addEventListener("instructor:lesson-open", () => (acted = true));

    watch("value", draw);
    draw();
    const asked = new URLSearchParams(window.location.search);
    // What arrives before the page has drawn itself would be drawn over.
    if (asked.get("lesson")) {
      until(() => document.querySelector("#text-list [data-item]") && document.querySelector(".js-plotly-plot"))
        .then(() => pause(300))
        .then(() => send("open", { lesson: asked.get("lesson"), step: Number(asked.get("step")) || 1 }));
    }
  }

  // ------------------------------------------------------------------------------------------------- the list

  function mountList(element, props, watch, trigger, eventName) {
    const root = element.querySelector(".ic-lessons");

    const status = el("p", "ic-lessons-note");
    status.setAttribute("role", "status");
    const told = (words) => (status.textContent = words);

    function open(lesson, step) {
      document.dispatchEvent(new CustomEvent("instructor:lesson-open"));
      trigger(eventName, { action: "open", lesson, step });
    }

    function row(lesson, kept, isFirst) {
      const node = el("li", "ic-lesson-row");
      const words = el("div", "ic-lesson-words");
      words.append(el("h3", "", lesson.title), el("p", "", lesson.goal));
      const at = kept.at[lesson.id];
      const done = kept.done.includes(lesson.id);
      const state = done ? "done" : at > 1 ? `at step ${at} of ${lesson.steps}` : `${lesson.steps} steps · ${lesson.minutes} min`;
      const label = done ? "Again" : at > 1 ? "Continue" : isFirst ? "Start here" : "Start";
      const start = button(label, isFirst ? "ic-lesson-main" : "ic-lesson-quiet", () => open(lesson.id, done ? 1 : at || 1));
      start.setAttribute("aria-label", `${label}: ${lesson.title}`);
      const paper = button("Worksheet", "ic-lesson-quiet", () => {
        told(`The worksheet of “${lesson.title}” is being written …`);
        trigger(eventName, { action: "worksheet", lesson: lesson.id, token: Date.now() }); // each click is news
      }, "The lesson on paper: every step with its figure, and the answers");
      paper.setAttribute("aria-label", `Worksheet: ${lesson.title}`);
      node.append(words, el("span", `ic-lesson-state${done ? " ic-lesson-done" : ""}`, state), start, paper);
      return node;
    }

    function draw() {
      const { lessons, glossary } = JSON.parse(props.value);
      const kept = progress();
      const list = el("ol", "ic-lesson-rows");
      const next = lessons.find((lesson) => !kept.done.includes(lesson.id)) || lessons[0];
      list.append(...lessons.map((lesson) => row(lesson, kept, lesson === next)));
      const terms = el("dl", "ic-glossary");
      for (const entry of glossary) {
        const means = el("dd", "", `${entry.means} `);
        if (entry.lesson) {
          const see = button("see it", "ic-lesson-link", () => open(entry.lesson, 1));
          see.setAttribute("aria-label", `See ${entry.term} in a lesson`);
          means.append(see);
        }
        const pair = el("div", "");
        pair.append(el("dt", "", entry.term), means);
        terms.append(pair);
      }
      root.replaceChildren(
        el("h2", "", "Lessons"),
        el("p", "ic-lessons-note", "Each lesson works on the real page: it sets texts and instructions, opens a view and asks. Your own are put back when you leave."),
        status,
        list,
        el("h2", "", "Glossary"),
        terms,
      );
    }

    document.addEventListener(PROGRESS, draw);
    document.addEventListener(DELIVERED, ({ detail }) => told(detail));
    watch("value", draw);
    draw();
  }

  /** Saves the page that comes as a value, and says so. */
  function mountDelivery(element, props, watch) {
    watch("value", () => {
      if (!props.value) return;
      const { name, html, error } = JSON.parse(props.value);
      document.dispatchEvent(new CustomEvent(DELIVERED, { detail: error || `${name} is saved among your downloads. Open it to print it.` }));
      if (error) return;
      const link = el("a");
      link.href = URL.createObjectURL(new Blob([html], { type: "text/html" }));
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }

  return { mountBar, mountList, mountDelivery };
})();
