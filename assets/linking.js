/* What the plot view and the token view share: the tooltip, the events that link all views of the page, the scale
   bar, and colours. Words of visitors reach the page through `textContent` only. */
window.InstructorLinking = window.InstructorLinking || (() => {
  "use strict";

  const { number } = InstructorFigure;
  const LIST_ITEM = ".ic-list [data-item]";

  function el(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  const isDark = () => document.body.classList.contains("dark");

  function onThemeChange(callback) {
    let dark = isDark();
    const observer = new MutationObserver(() => {
      if (dark !== isDark()) {
        dark = isDark();
        callback();
      }
    });
    observer.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    return observer;
  }

  // ------------------------------------------------------------------------------------------------- events

  /** detail: {items: [item, ...], row?, column?, source?}; no items takes the mark away. */
  const hover = (detail) => document.dispatchEvent(new CustomEvent("instructor:hover", { detail }));
  const select = (detail) => document.dispatchEvent(new CustomEvent("instructor:select", { detail }));

  function markLists(className, items) {
    for (const node of document.querySelectorAll(LIST_ITEM)) {
      node.classList.toggle(className, items.includes(Number(node.dataset.item)));
    }
  }

  const itemsOf = (detail) =>
    [...(detail.items || []), detail.row, detail.column].filter((item) => item !== undefined && item !== null);

  document.addEventListener("instructor:hover", (event) => markLists("ic-hover", itemsOf(event.detail)));
  document.addEventListener("instructor:select", (event) => markLists("ic-selected", itemsOf(event.detail)));
  document.addEventListener("pointerover", (event) => {
    const node = event.target.closest?.(LIST_ITEM);
    if (node) hover({ items: [Number(node.dataset.item)], source: node });
  });
  document.addEventListener("pointerout", (event) => {
    if (event.target.closest?.(LIST_ITEM)) hover({ items: [] });
  });

  // ------------------------------------------------------------------------------------------------- tooltip

  const tooltip = (() => {
    let node = null;
    const OFFSET = 14;
    const EDGE = 8;

    /** Beside the point, on the side where there is room, never outside the window. */
    function move(x, y) {
      if (!node || node.hidden) return;
      const { offsetWidth: width, offsetHeight: height } = node;
      let left = x + OFFSET;
      if (left + width > window.innerWidth - EDGE) left = x - OFFSET - width;
      let top = y + OFFSET;
      if (top + height > window.innerHeight - EDGE) top = y - OFFSET - height;
      node.style.left = `${Math.max(EDGE, Math.min(left, window.innerWidth - EDGE - width))}px`;
      node.style.top = `${Math.max(EDGE, Math.min(top, window.innerHeight - EDGE - height))}px`;
    }

    return {
      move,
      show(children, x, y) {
        if (!node) {
          node = el("div", "ic-tooltip");
          node.setAttribute("role", "presentation");
          document.body.append(node);
        }
        node.replaceChildren(...children);
        node.hidden = false;
        move(x, y);
      },
      hide() {
        if (node) node.hidden = true;
      },
    };
  })();

  window.addEventListener("scroll", tooltip.hide, { passive: true, capture: true });

  // ------------------------------------------------------------------------------------------------- colours

  const channels = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));

  /** Black or white, whichever reads better on a `#rrggbb` background (WCAG 2 contrast). */
  function inkOn(hex) {
    const [r, g, b] = channels(hex).map((c) => (c / 255 <= 0.04045 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
  }

  const colorsOf = (scale, twins) => (isDark() ? scale.colors.map((color) => twins[color] || color) : scale.colors);

  /** The `#rrggbb` of `value` on a scale with evenly spaced colours; values outside take the end colours. */
  function colorAt(scale, twins, value) {
    const colors = colorsOf(scale, twins);
    const span = scale.high - scale.low || 1;
    const place = Math.max(0, Math.min(1, (value - scale.low) / span)) * (colors.length - 1);
    const below = Math.min(Math.floor(place), colors.length - 2);
    const [from, to] = [channels(colors[below]), channels(colors[below + 1])];
    const mixed = from.map((c, i) => Math.round(c + (to[i] - c) * (place - below)));
    return `#${mixed.map((c) => c.toString(16).padStart(2, "0")).join("")}`;
  }

  /** The bar with its label and ticks; `pin(value)` on the returned node marks a value, `pin(null)` none. */
  function scaleBar(scale, twins) {
    const bar = el("div", "ic-scale");
    const decimals = Math.max(0, Math.min(4, 1 - Math.floor(Math.log10(scale.high - scale.low || 1) + 1e-9)));
    const place = (value) => `${(100 * (value - scale.low)) / (scale.high - scale.low || 1)}%`;
    const middle = scale.midpoint ?? (scale.low + scale.high) / 2;
    const track = el("div", "ic-scale-track");
    track.style.background = `linear-gradient(to right, ${colorsOf(scale, twins).join(", ")})`;
    const pin = el("i", "ic-scale-pin");
    pin.hidden = true;
    track.append(pin);
    if (scale.midpoint !== null) {
      const zero = el("i", "ic-scale-zero");
      zero.style.left = place(middle);
      track.append(zero);
    }
    const ticks = el("div", "ic-scale-ticks");
    for (const value of [scale.low, middle, scale.high]) {
      const tick = el("span", "", value === 0 ? "0" : number(value, decimals));
      tick.style.left = place(value);
      ticks.append(tick);
    }
    const body = el("div", "ic-scale-body");
    body.append(track, ticks);
    bar.append(el("span", "ic-scale-label", scale.label), body);
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", `${scale.label}: colours from ${number(scale.low)} to ${number(scale.high)}`);
    bar.pin = (value) => {
      pin.hidden = value === null || value === undefined;
      if (!pin.hidden) pin.style.left = `clamp(0%, ${place(value)}, 100%)`;
    };
    return bar;
  }

  function chip(letter, accent) {
    const node = el("span", "ic-chip", letter);
    node.style.background = accent;
    node.style.color = inkOn(accent);
    return node;
  }

  return { el, isDark, onThemeChange, hover, select, itemsOf, tooltip, inkOn, colorAt, scaleBar, chip };
})();
