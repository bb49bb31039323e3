/* Help is one switch. While it is on, what can be explained (assets/help.json) has a dotted underline, and pointer, tap
   or keyboard focus opens its words in the tooltip; while it is off, nothing on the page is other than without it. */
(() => {
  "use strict";

  // {tab or "page": {# and the id of an element, ## and a heading, or the label of a control: words}}
  const WORDS = window.InstructorHelpWords;
  const SWITCH = "#help-switch";
  const LABELS =
    "[data-testid=block-info]:not(.sr-only), .checkbox-container .label-text, .ic-fold > button.label-wrap, " +
    ".ic-inputs h2, label[data-testid=block-label]:not(.sr-only), .ic-view .ic-panel-title";

  const shown = new Map(); // node -> words
  let due = 0;
  let on = false;

  /** The words about a label: by the id of its element, by its heading, or by what it says. */
  function wordsOf(label) {
    const about = WORDS[label.closest(".tabitem")?.id.replace(/^tab-/, "") ?? "page"] ?? {};
    const said = label.textContent.trim();
    return about[`#${label.closest(".block[id]")?.id}`] ?? about[label.matches("h2") ? `## ${said}` : said];
  }

  function explain({ target }) {
    const node = target.closest?.(".ic-explained");
    if (node) InstructorLinking.tooltip.beside([shown.get(node)], node);
  }

  function leave({ target }) {
    if (target.closest?.(".ic-explained")) InstructorLinking.tooltip.hide();
  }

  /** A tap on the label of a control explains it, and leaves the control alone. */
  function tap(event) {
    if (event.target.closest?.(".ic-explained:not(button)")) event.preventDefault();
  }

  function dress() {
    due = 0;
    for (const node of document.querySelectorAll(LABELS)) {
      const view = node.closest(".ic-view"); // explained at the first of its titles
      const words = view && node !== view.querySelector(".ic-panel-title") ? null : wordsOf(node);
      if (!words || shown.has(node)) continue;
      shown.set(node, words);
      node.classList.add("ic-explained");
      if (node.tabIndex < 0) node.tabIndex = 0;
      node.setAttribute("aria-describedby", "ic-tooltip");
    }
  }

  function undress() {
    for (const node of shown.keys()) {
      node.classList.remove("ic-explained");
      node.removeAttribute("aria-describedby");
      if (!node.matches("button")) node.removeAttribute("tabindex");
    }
    shown.clear();
  }

  const redress = new MutationObserver(() => (due ||= setTimeout(dress, 100)));
  const ACTS = { pointerover: explain, focusin: explain, pointerout: leave, focusout: leave, click: tap };

  function turn(wanted) {
    on = wanted;
    document.querySelector(SWITCH)?.setAttribute("aria-pressed", String(on));
    document.body.classList.toggle("ic-explaining", on);
    for (const [name, act] of Object.entries(ACTS)) {
      if (on) document.addEventListener(name, act);
      else document.removeEventListener(name, act);
    }
    clearTimeout(due);
    redress.disconnect();
    if (on) {
      dress();
      redress.observe(document.body, { childList: true, subtree: true });
    } else undress();
  }

  document.addEventListener("click", ({ target }) => target.closest?.(SWITCH) && turn(!on));
  document.addEventListener("keydown", ({ key }) => {
    if (on && key === "Escape") InstructorLinking.tooltip.hide();
  });
})();
