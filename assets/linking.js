/* What the components of the page share: nodes, keys, the tooltip, the events that link all views, the scale bar, and
   colours. Words of visitors reach the page as text nodes only. */
window.InstructorLinking = window.InstructorLinking || (() => {
  "use strict";

  const { number } = InstructorFigure;
  const THEME = window.InstructorTheme; // {light, dark, twins, policy}, from the head of the page
  const DRAWN = ["svg", "rect", "circle", "polygon"]; // elements of SVG

  const given = (value) => (value ?? "") !== "";

  /** A node with a class, or with several attributes, around those strings and nodes that are there. */
  function el(tag, attributes, ...children) {
    const kind = DRAWN.includes(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
    const node = document.createElementNS(kind, tag);
    const named = typeof attributes === "string" ? { class: attributes } : (attributes ?? {});
    for (const [name, value] of Object.entries(named)) if (given(value)) node.setAttribute(name, value);
    node.append(...children.filter(given));
    return node;
  }

  function button(text, className, action, attributes) {
    const node = el("button", { type: "button", class: className, ...attributes }, text);
    node.addEventListener("click", action);
    return node;
  }

  /** Lets keys act on a node; an action that returns false leaves its key to the browser. */
  function onKeys(node, actions) {
    node.addEventListener("keydown", (event) => {
      if (Object.hasOwn(actions, event.key) && actions[event.key](event) !== false) event.preventDefault();
    });
  }

  /** Hands a file to the browser as a download. */
  function saveFile(content, name, type) {
    const link = el("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(`instructor:${name}`, { detail }));
  /** detail: {items: [item, ...], row?, column?}; no items takes the mark away. */
  const hover = (detail) => tell("hover", detail);
  const select = (detail) => tell("select", detail);

  /** Mounts a component: `accept` gets its value now and at each change, and `events` act for as long as it is there. */
  function component(root, props, watch, accept, events = {}, left = () => {}) {
    const alive = new AbortController();
    for (const [name, act] of Object.entries(events)) {
      const heard = ({ detail }) => {
        if (root.isConnected) return act(detail);
        alive.abort();
        return left();
      };
      document.addEventListener(`instructor:${name}`, heard, { signal: alive.signal });
    }
    const read = () => accept(props.value ? JSON.parse(props.value) : null);
    watch("value", read);
    read();
  }

  const lessMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  const isDark = () => document.body.classList.contains("dark");
  let dark = isDark();
  new MutationObserver(() => {
    if (dark === isDark()) return;
    dark = isDark();
    tell("theme");
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });

  const itemsOf = (detail) => [...(detail.items || []), detail.row, detail.column].filter(given);

  const tooltip = (() => {
    const OFFSET = 14; // px from the place
    const EDGE = 8; // px that stay free at the edge of the window
    const node = el("div", { id: "ic-tooltip", class: "ic-tooltip", role: "tooltip" });
    let place = () => [0, 0]; // what it stands beside, wherever that is scrolled to
    let finger = null; // where the screen was last touched; a finger leaves at once, so what it opened stays

    node.hidden = true;
    (document.querySelector("main") ?? document.body).append(node);

    /** Beside the place, on the side where there is room, never outside the window. */
    function settle() {
      const [x, y] = place();
      if (y < 0 || y > innerHeight) node.hidden = true;
      const start = (at, size, room) =>
        Math.max(EDGE, at + OFFSET + size > room ? Math.min(at - OFFSET, room) - size : at + OFFSET);
      node.style.left = `${start(x, node.offsetWidth, innerWidth - EDGE)}px`;
      node.style.top = `${start(y, node.offsetHeight, innerHeight - EDGE)}px`;
    }

    function move(x, y) {
      const [left, top] = [x + scrollX, y + scrollY];
      place = () => [left - scrollX, top - scrollY];
      if (!node.hidden) settle();
    }

    function show(children, x, y) {
      node.replaceChildren(...children);
      node.hidden = false;
      move(x, y);
    }

    /** Beside the lower left corner of another node. */
    function beside(children, other) {
      show(children, 0, 0);
      place = () => [other.getBoundingClientRect().left, other.getBoundingClientRect().bottom - OFFSET / 2];
      settle();
    }

    const hide = () => void (finger || (node.hidden = true));

    function pointed(event) {
      finger = event.pointerType === "touch" ? [event.clientX, event.clientY] : null;
      if (!finger || node.hidden) return;
      node.hidden = true;
      hover({ items: [] });
    }

    document.addEventListener("pointerover", pointed, { capture: true, passive: true });
    document.addEventListener("keydown", ({ key }) => {
      finger = null;
      if (key === "Escape") node.hidden = true;
    }, { capture: true });
    window.addEventListener("scroll", () => node.hidden || settle(), { passive: true, capture: true });
    return { show, beside, move, hide, touched: () => finger };
  })();

  const channels = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));

  /** Black or white, whichever reads better on a `#rrggbb` background (WCAG 2 contrast). */
  function inkOn(hex) {
    const [r, g, b] = channels(hex).map((c) => (c / 255 <= 0.04045 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
  }

  const colorsOf = ({ colors }) => (isDark() ? colors.map((color) => THEME.twins[color] || color) : colors);

  /** The `#rrggbb` of `value` on a scale with evenly spaced colours; values outside take the end colours. */
  function colorAt(scale, value) {
    const colors = colorsOf(scale);
    const span = scale.high - scale.low || 1;
    const place = Math.max(0, Math.min(1, (value - scale.low) / span)) * (colors.length - 1);
    const below = Math.min(Math.floor(place), colors.length - 2);
    const [from, to] = [channels(colors[below]), channels(colors[below + 1])];
    const mixed = from.map((c, i) => Math.round(c + (to[i] - c) * (place - below)));
    return `#${mixed.map((c) => c.toString(16).padStart(2, "0")).join("")}`;
  }

  /** The bar with its label and ticks; `pin(value)` on the returned node marks a value, `pin(null)` none. */
  function scaleBar(scale) {
    const decimals = Math.max(0, Math.min(4, 1 - Math.floor(Math.log10(scale.high - scale.low || 1) + 1e-9)));
    const place = (value) => `${(100 * (value - scale.low)) / (scale.high - scale.low || 1)}%`;
    const middle = scale.midpoint ?? (scale.low + scale.high) / 2;
    const pin = el("i", "ic-scale-pin");
    const zero = scale.midpoint === null ? null : el("i", { class: "ic-scale-zero", style: `left: ${place(middle)}` });
    const background = `background: linear-gradient(to right, ${colorsOf(scale).join(", ")})`;
    const track = el("div", { class: "ic-scale-track", style: background }, pin, zero);
    const ticks = [scale.low, middle, scale.high].map((value) =>
      el("span", { style: `left: ${place(value)}` }, value === 0 ? "0" : number(value, decimals)),
    );
    const spoken = `${scale.label}: colours from ${number(scale.low)} to ${number(scale.high)}`;
    const bar = el(
      "div",
      { class: "ic-scale", role: "img", "aria-label": spoken },
      el("span", "ic-scale-label", scale.label),
      el("div", "ic-scale-body", track, el("div", "ic-scale-ticks", ...ticks)),
    );
    bar.pin = (value) => {
      pin.hidden = !given(value);
      if (!pin.hidden) pin.style.left = `clamp(0%, ${place(value)}, 100%)`;
    };
    bar.pin(null);
    return bar;
  }

  const painted = (background) => `background: ${background}; color: ${inkOn(background)}`;
  const chip = (letter, accent) => (letter ? el("span", { class: "ic-chip", style: painted(accent) }, letter) : null);

  /** What stands over a figure or a row of tokens. */
  function panelHead(title, subtitle, mark, menu) {
    const line = subtitle ? el("p", "ic-panel-subtitle", subtitle) : null;
    const words = el("div", "ic-panel-words", el("h3", "ic-panel-title", title), line);
    return el("header", "ic-panel-head", mark, words, menu);
  }

  return {
    ...{ given, el, button, onKeys, saveFile, tell, hover, select, component, isDark, lessMotion, itemsOf, tooltip },
    ...{ THEME, inkOn, colorAt, painted, scaleBar, chip, panelHead },
  };
})();
