/* Help at the place: a "?" beside each control and figure that opens one or two sentences (assets/help.json). It is a
   button that Tab reaches, a tap opens as well as a click, and what it says is announced. The words stand in a box of
   their own, so that nothing on the page moves. */
(() => {
  "use strict";

  // {tab or "page": {label of a control, ## and a heading, or # and the id of a figure: words}}
  const WORDS = window.InstructorHelpWords;
  const EDGE = 8; // px that stay free at the edge of the window
  const BESIDE = 6; // px from the label to its button

  let box = null;
  let opener = null; // the button whose words are shown

  const placeOf = (node) => node.closest(".tabitem")?.id.replace(/^tab-/, "") ?? "page";

  function close() {
    if (!opener) return;
    opener.setAttribute("aria-expanded", "false");
    opener = null;
    box.hidden = true;
    box.textContent = "";
  }

  function open(button, words) {
    close();
    opener = button;
    button.setAttribute("aria-expanded", "true");
    box.hidden = false;
    box.textContent = words;
    const at = button.getBoundingClientRect();
    const size = box.getBoundingClientRect();
    const left = Math.max(EDGE, Math.min(at.left, document.documentElement.clientWidth - size.width - EDGE));
    const below = at.bottom + BESIDE;
    const top = below + size.height <= window.innerHeight ? below : Math.max(EDGE, at.top - size.height - BESIDE);
    box.style.left = `${left}px`;
    box.style.top = `${top}px`;
  }

  function makeButton(name, words) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "ic-help";
    button.textContent = "?";
    button.setAttribute("aria-label", `Help: ${name}`);
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-controls", box.id);
    button.addEventListener("click", (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (opener === button) close();
      else open(button, words);
    });
    return button;
  }

  /** Beside the end of the label, wherever its last line ends. */
  function place(block, label, button) {
    const range = document.createRange();
    range.selectNodeContents(label);
    const lines = range.getClientRects();
    const end = lines[lines.length - 1];
    if (!end) return;
    const home = block.getBoundingClientRect();
    button.style.left = `${Math.min(end.right - home.left + BESIDE, home.width - 20)}px`;
    button.style.top = `${end.top - home.top + end.height / 2 - 8}px`;
  }

  function attach(block, label, name, words) {
    const button = makeButton(name, words);
    block.classList.add("ic-helped");
    block.append(button);
    const settle = () => place(block, label, button);
    const moved = new ResizeObserver(settle);
    moved.observe(block);
    moved.observe(label);
    settle();
  }

  const LABELS =
    "[data-testid=block-info], .checkbox-container .label-text, .ic-fold > button.label-wrap > span:first-child, " +
    ".ic-inputs h2, label[data-testid=block-label]";

  function dress() {
    for (const label of document.querySelectorAll(LABELS)) {
      if (label.classList.contains("sr-only")) continue;
      const block = label.matches("h2") ? label.parentElement : label.closest(".block");
      if (!block || block.querySelector(":scope > .ic-help")) continue;
      const name = label.textContent.trim();
      const words = WORDS[placeOf(label)]?.[label.matches("h2") ? `## ${name}` : name];
      if (words) attach(block, label, name, words);
    }
    for (const figure of document.querySelectorAll(".block.ic-view")) {
      const words = WORDS[placeOf(figure)]?.[`#${figure.id}`];
      const drawing = figure.querySelector(".ic-plots, .ic-tokens");
      if (!words || !drawing || figure.querySelector(".ic-help")) continue;
      drawing.before(makeButton(drawing.getAttribute("aria-label") || "figure", words));
    }
    if (opener && !opener.isConnected) close();
  }

  function start() {
    box = document.createElement("p");
    box.id = "help-words";
    box.className = "ic-help-words";
    box.setAttribute("role", "status");
    box.hidden = true;
    document.body.append(box);
    let due = 0;
    new MutationObserver(() => {
      if (!due) due = setTimeout(() => ((due = 0), dress()), 100);
    }).observe(document.body, { childList: true, subtree: true });
    document.addEventListener("click", close);
    document.addEventListener("keydown", (event) => event.key === "Escape" && close());
    window.addEventListener("scroll", close, { passive: true });
    window.addEventListener("resize", close);
    dress();
  }

  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
