/* Help is one switch. While it is on, what can be explained (assets/help.json) has a dotted underline, and pointer, tap
   or keyboard focus opens its words in the tooltip; while it is off, nothing on the page is other than without it. */
(() => {
  "use strict";

  // {tab or "page": {# and the id of an element, ## and a heading, or the label of a control: words}}
  const WORDS = window.InstructorHelpWords;
  const LABELS =
    "[data-testid=block-info]:not(.sr-only), .checkbox-container .label-text, .ic-fold > button.label-wrap, " +
    ".ic-try, label[data-testid=block-label]:not(.sr-only), .ic-view .ic-panel-title";

  const explanations = new Map(); // node -> words; empty while help is off
  let due = 0; // of the next look at what was drawn since

  /** The words about a label: by the id of its element, by its heading, or by what it says. */
  function wordsOf(label) {
    const about = WORDS[label.closest(".tabitem")?.id.replace(/^tab-/, "") ?? "page"] ?? {};
    const words = (label.matches("button") ? label.firstElementChild : label).textContent.trim();
    return about[`#${label.closest(".block[id]")?.id}`] ?? about[label.matches("h2") ? `## ${words}` : words];
  }

  function dress() {
    due = 0;
    for (const node of document.querySelectorAll(LABELS)) {
      const view = node.closest(".ic-view"); // explained at the first of its titles
      const words = view && node !== view.querySelector(".ic-panel-title") ? null : wordsOf(node);
      if (!words || explanations.has(node)) continue;
      explanations.set(node, words);
      node.classList.add("ic-explained");
      node.setAttribute("aria-describedby", "ic-tooltip");
      if (node.tabIndex < 0) node.tabIndex = 0;
    }
  }

  function undress() {
    for (const node of explanations.keys()) {
      node.classList.remove("ic-explained");
      node.removeAttribute("aria-describedby");
      if (!node.matches("button")) node.removeAttribute("tabindex");
    }
    explanations.clear();
  }

  const redress = new MutationObserver(() => (due ||= setTimeout(dress, 100)));

  function turn(on) {
    document.querySelector("#help-switch").setAttribute("aria-pressed", String(on));
    redress.disconnect();
    clearTimeout(due);
    if (on) dress();
    else undress();
    if (on) redress.observe(document.body, { childList: true, subtree: true });
  }

  const explained = ({ target }) => target.closest?.(".ic-explained");
  const moves = { pointerover: true, focusin: true, pointerout: false, focusout: false };
  for (const [name, near] of Object.entries(moves)) {
    document.addEventListener(name, (event) => {
      const node = explained(event);
      if (node && near) InstructorLinking.tooltip.beside([explanations.get(node)], node);
      else if (node) InstructorLinking.tooltip.hide();
    });
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#help-switch")) turn(event.target.ariaPressed !== "true");
    // The label of a control explains it, and leaves the control alone.
    else if (explained(event) && !explained(event).matches("button")) event.preventDefault();
  });
})();
