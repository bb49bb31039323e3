/* The token view: rows of tokens that wrap like text (instructor_core/figures/token_rows.py). The line under a token
   says which segment it belongs to, the background how much it weighs. */
window.InstructorTokenView = window.InstructorTokenView || (() => {
  "use strict";

  const { el, button, onKeys, component, tooltip, inkOn, colorAt, scaleBar, chip, panelHead } = InstructorLinking;
  const { number } = InstructorFigure;
  const SECTION = { instruction: "instruction", straddling: "instruction and text", text: "text", cut: "cut off" };
  const SPOKEN = { ...SECTION, end: "end of sequence" };
  const LONG_WORD = 12; // pieces after which a word may break over the line
  const FOLD_FROM = 120; // tokens from which a row is folded

  function mount(element, props, watch, trigger, clickEvent) {
    const root = element.querySelector(".ic-tokens");
    const name = props.label || "Tokens";
    const view = { scale: null, bar: null, tokens: [], unfolded: new Set() };
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", name);

    function piece(token, row) {
      const starts = token.t.startsWith("▁");
      const weight = token.w === null ? "" : `, ${number(token.w)}`;
      const spoken = `${token.t.replace("▁", "") || "space"}, ${SPOKEN[token.s] || token.s}${weight}`;
      const node = button("", `ic-token ic-segment-${token.s}`, () => trigger(clickEvent, { row, index: token.i }), {
        "aria-label": spoken,
        tabindex: -1,
      });
      node.append(...(starts ? [el("i", "ic-space")] : []), el("span", "ic-piece", starts ? token.t.slice(1) : token.t));
      if (token.w !== null && view.scale) {
        node.style.background = colorAt(view.scale, token.w);
        node.style.color = inkOn(colorAt(view.scale, token.w));
      }
      return node;
    }

    function tip(token) {
      const label = view.scale?.label;
      const weight = el("p", "ic-tip-values", el("b", "", number(token.w)), label ? el("span", "", label) : null);
      return [
        el("p", "ic-tip-token", token.t),
        el("p", "ic-tip-name", `${SPOKEN[token.s] || token.s} · token ${token.i + 1}`),
        ...(token.w === null ? [] : [weight]),
        ...(token.tip ? token.tip.split("\n").map((line) => el("p", "ic-tip-line", line)) : []),
      ];
    }

    /** Marks all pieces of what a token stands for; its tooltip goes with the mark. */
    function near(entry, on) {
      for (const other of view.tokens) {
        if (other.row === entry.row && other.token.i === entry.token.i) other.node.classList.toggle("ic-hover", on);
      }
      view.bar?.pin(on ? entry.token.w : null);
      if (!on) tooltip.hide();
    }

    function wire(entry) {
      const { node, token } = entry;
      node.addEventListener("pointerenter", (event) => {
        near(entry, true);
        tooltip.show(tip(token), event.clientX, event.clientY);
      });
      node.addEventListener("pointermove", (event) => tooltip.move(event.clientX, event.clientY), { passive: true });
      node.addEventListener("pointerleave", () => near(entry, false));
      node.addEventListener("focus", () => {
        for (const other of view.tokens) other.node.tabIndex = other === entry ? 0 : -1;
        if (!node.matches(":focus-visible")) return;
        near(entry, true);
        tooltip.beside(tip(token), node);
      });
      node.addEventListener("blur", () => near(entry, false));
    }

    function flow(row, place) {
      const body = el("div", "ic-flow");
      let word = null;
      let segment = null;
      for (const token of row.tokens) {
        if (token.s !== segment) {
          segment = token.s;
          word = null;
          if (SECTION[segment]) body.append(el("span", `ic-section ic-segment-${segment}`, SECTION[segment]));
        }
        if (!word || token.t.startsWith("▁") || token.s === "end" || word.children.length >= LONG_WORD) {
          word = el("span", "ic-word");
          body.append(word, "\u200b"); // a place where the line may break
        }
        const entry = { node: piece(token, place), token, row: place };
        word.append(entry.node);
        view.tokens.push(entry);
        wire(entry);
      }
      return body;
    }

    function section(row, place) {
      const body = flow(row, place);
      const head = panelHead(row.title, row.note, row.chip ? chip(row.chip, row.accent) : null);
      const node = el("section", "ic-token-row", head, body);
      if (row.tokens.length < FOLD_FROM) return node;
      const apply = () => {
        const open = view.unfolded.has(row.title);
        body.classList.toggle("ic-folded", !open);
        more.textContent = open ? "show less" : `show all ${row.tokens.length} tokens`;
        more.setAttribute("aria-expanded", String(open));
      };
      const more = button("", "ic-more", () => {
        if (!view.unfolded.delete(row.title)) view.unfolded.add(row.title);
        apply();
      });
      apply();
      node.append(more);
      return node;
    }

    function draw() {
      tooltip.hide();
      view.tokens = [];
      if (!view.payload) {
        root.replaceChildren(el("p", "ic-empty", root.dataset.empty));
        return;
      }
      view.scale = view.payload.scale;
      view.bar = view.scale ? scaleBar(view.scale) : null;
      const bar = view.bar ? [el("div", "ic-plots-bar", view.bar)] : [];
      root.replaceChildren(el("h2", "ic-hidden", name), ...bar, ...view.payload.rows.map(section));
      if (view.tokens[0]) view.tokens[0].node.tabIndex = 0;
    }

    /** An audience, which does not scroll, sees the rows that have room, and the first. */
    function keepOnScreen() {
      const [, ...others] = root.querySelectorAll(".ic-token-row");
      for (const row of others) row.hidden = false;
      if (!document.body.classList.contains("ic-presenter")) return;
      const low = others.map((row) => row.getBoundingClientRect().bottom > window.innerHeight);
      others.forEach((row, at) => (row.hidden = low[at]));
    }

    const now = () => view.tokens.findIndex(({ node }) => node === document.activeElement);
    const rowAt = (step) => view.tokens.filter(({ row }) => row === view.tokens[now()].row + step);

    function beside(step) {
      const next = rowAt(step);
      return next[Math.min(rowAt(0).indexOf(view.tokens[now()]), next.length - 1)];
    }

    const to = (find) => () => now() >= 0 && (find()?.node.focus() ?? true);
    onKeys(root, {
      ArrowRight: to(() => view.tokens[now() + 1]),
      ArrowLeft: to(() => view.tokens[now() - 1]),
      ArrowDown: to(() => beside(1)),
      ArrowUp: to(() => beside(-1)),
      Home: to(() => rowAt(0)[0]),
      End: to(() => rowAt(0).at(-1)),
    });

    const accept = (value) => {
      view.payload = value;
      draw();
    };
    new ResizeObserver(keepOnScreen).observe(root);
    component(root, props, watch, accept, { theme: draw, letters: keepOnScreen });
  }

  return { mount };
})();
