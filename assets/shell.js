/* The frame of the page: what is typed runs after a pause, chips, the panels that the header opens, files dropped
   anywhere. */
window.InstructorShell = window.InstructorShell || (() => {
  "use strict";
  const PAUSE = 150; // ms without a key until the figures follow
  const FIELD = ".ic-instruction textarea";
  const FIELDS = `${FIELD}, #texts textarea`;
  const CHANGES = "button[data-chip]:not(#lab-table *), #add-instruction, .ic-remove, #build-instruction";
  const root = document.documentElement;
  const fields = () => [...document.querySelectorAll(FIELD)];
  let waiting = 0; // of a run, while keys are pressed
  let run = () => (waiting = 0); // until `live`

  /** What the "localStorage" or "sessionStorage" has; null where it is blocked, or holds something else. */
  function recall(storage, key) {
    try {
      return JSON.parse(window[storage].getItem(key));
    } catch {
      return null;
    }
  }

  function store(storage, key, value) {
    try {
      window[storage].setItem(key, JSON.stringify(value));
    } catch {} // blocked, or full
  }

  /** What a function finds, as soon as it finds something; none if that takes more than `patience` ms. */
  async function until(find, patience = 8000) {
    for (let waited = 0; waited < patience && !find(); waited += 80) await new Promise((done) => setTimeout(done, 80));
    return find();
  }

  /** What stands on the page is not of what stands in the fields, or is again: figures are dim until then. */
  function stale(on) {
    document.body.classList.toggle("ic-typed", on);
    document.querySelector(".ic-page")?.setAttribute("aria-busy", String(on));
  }

  addEventListener("input", ({ target }) => {
    if (!target.matches?.(FIELDS)) return;
    stale(true);
    clearTimeout(waiting);
    waiting = setTimeout(run, PAUSE);
  });
  // Who leaves the field or presses Enter waits no longer.
  addEventListener("focusout", ({ target }) => waiting && target.matches?.(FIELDS) && run());
  addEventListener("keydown", ({ key, isComposing, target }) => {
    if (key === "Enter" && !isComposing && target.matches?.(FIELD)) run();
  });
  addEventListener("click", ({ target }) => {
    if (!target.closest?.(CHANGES)) return;
    remember();
    stale(true);
    if (target.closest("#add-instruction")) writeNext();
  });

  /** The row that is added is brought on the screen, to be written in. */
  async function writeNext() {
    const { length } = fields();
    (await until(() => fields()[length]))?.focus(); // none where no more fit
  }

  let runs = 0; // begun so far
  const latest = []; // the number of the run that each event of the page began last

  /** Before an event runs with these values. */
  function begins(event, ...values) {
    latest[event] = ++runs;
    return values;
  }

  /** After a run, which brings its figures along: an error, or a run that waits or was stopped, leaves them dim, and so
   * does one after which another has begun. */
  function ran(event) {
    const number = latest[event];
    setTimeout(() => {
      const status = document.querySelector("#status p")?.classList;
      const failed = ["ic-busy", "ic-error", "ic-waits"].some((kind) => status?.contains(kind));
      if (!waiting && !failed && number === runs) stale(false);
      if (!document.activeElement?.matches(FIELD)) remember();
      // Gradio gives a menu none: it is seen once the texts are no example's.
      document.querySelector("#example input")?.setAttribute("placeholder", "an example");
    }, 100); // the line comes first
  }

  function live(trigger, event) {
    run = () => {
      clearTimeout(waiting);
      waiting = 0;
      trigger(event, {});
    };
  }

  /** Each of these rows of buttons is one stop of Tab; the arrow keys go on from there. */
  const ROWS = [".ic-places button", "button[data-chip], .ic-first", ".ic-main [role=tab]", ".ic-drawer .ic-buttons button"];
  const seen = (selector) => [...document.querySelectorAll(selector)].filter((node) => node.checkVisibility());
  const reach = (all, one) => all.forEach((button) => (button.tabIndex = button === one ? 0 : -1));

  addEventListener("keydown", (key) => {
    const at = document.activeElement;
    if (key.key === "Tab") {
      for (const all of ROWS.map(seen)) {
        const chosen = all.find((button) => button === at) ?? all.find((button) => button.ariaSelected === "true");
        reach(all, chosen ?? all.find((button) => button.getAttribute("tabindex") === "0") ?? all[0]);
      }
      return;
    }
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key.key];
    const all = step && ROWS.map(seen).find((buttons) => buttons.includes(at));
    if (!all) return;
    const next = all[all.indexOf(at) + step] ?? at;
    reach(all, next);
    next.focus();
    key.preventDefault();
  }, true);

  function chips(element, trigger, event) {
    element.addEventListener("click", ({ target }) => {
      const chip = target.closest("[data-chip]");
      if (chip) trigger(event, { chip: Number(chip.dataset.chip) });
    });
  }

  /** The menu of what stood in the fields of instructions during this visit and does not now; it goes with the tab. */
  const EARLIER = "instructor:earlier";
  const MOST_EARLIER = 30;
  let menu = null;

  function remember() {
    const now = fields().map((field) => field.value.trim());
    const before = recall("sessionStorage", EARLIER) ?? [];
    const all = [...new Set([...now, ...before])].filter(Boolean);
    store("sessionStorage", EARLIER, all.slice(0, MOST_EARLIER));
    if (!menu) return;
    const options = all.filter((one) => !now.includes(one)).slice(0, MOST_EARLIER);
    menu.hidden = !options.length;
    menu.replaceChildren(new Option("earlier", ""), ...options.map((one) => new Option(one, one)));
  }

  function earlier(select, trigger, event) {
    menu = select;
    remember();
    select.addEventListener("change", () => {
      if (!select.value) return;
      stale(true);
      trigger(event, { instruction: select.value });
    });
  }

  // What was typed counts once its field is left: half a sentence is no wording.
  for (const kind of ["focusin", "focusout"]) {
    addEventListener(kind, ({ target }) => target.matches?.(FIELD) && remember());
  }

  /** Opens a panel under the header, or closes what is open. */
  function panel(name) {
    const next = root.dataset.panel === name ? "" : name;
    root.dataset.panel = next;
    for (const one of ["texts", "share"]) {
      document.querySelector(`#open-${one}`)?.setAttribute("aria-expanded", String(next === one));
    }
    if (next) document.querySelector(`#panel-${next} :is(button, input, textarea)`)?.focus();
  }

  /** After a file was taken over: the page shows its texts, unless something is still to be said. */
  const used = () => {
    if (!document.querySelector("#upload-note .ic-error")) panel("");
  };

  /** Opens what a class of the page opens, or closes it, and says so on its button. */
  function toggle(name, wanted, opener, [opens, closes]) {
    const on = root.classList.toggle(name, wanted);
    const button = document.querySelector(opener);
    button.textContent = on ? closes : opens;
    button.setAttribute("aria-expanded", String(on));
    return on;
  }

  /** The field of the texts in the place of their list, or the list again; a step of a lesson opens it as well. */
  function edit(wanted) {
    const on = toggle("ic-editing", wanted, "#edit-texts", ["edit", "done"]);
    if (on && wanted === undefined) document.querySelector("#texts textarea")?.focus();
  }

  /** The drawer of a narrow page: the selected texts at the lower edge, all of it when it is open. */
  const sheet = (wanted) => void toggle("ic-sheet", wanted, "#sheet-handle", ["more", "less"]);

  addEventListener("keydown", (key) => {
    if (key.key !== "Escape" || !root.dataset.panel) return;
    const opener = document.querySelector(`#open-${root.dataset.panel}`);
    panel("");
    opener?.focus();
  });
  addEventListener("click", (event) => {
    if (!event.target.closest?.(".ic-skip")) return;
    const [figure] = seen(".ic-figure");
    if (figure) event.preventDefault(); // else the link leads to where they would stand
    figure?.focus();
  });
  addEventListener("pointerdown", ({ target }) => {
    if (root.dataset.panel && !target.closest(".ic-over, #open-texts, #open-share, .options")) panel("");
  });

  const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (holdsFile(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    const input = document.querySelector("#upload-file input[type=file]");
    if (!holdsFile(event) || !input || event.target.closest?.("#upload-file, #state-open")) return;
    event.preventDefault();
    if (root.dataset.panel !== "texts") panel("texts");
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });

  return { recall, store, until, live, chips, earlier, panel, edit, sheet, used, stale, begins, ran };
})();
