/* The token view: rows of tokens that wrap like text (instructor_core/figures/token_rows.py). The line under a token
   says which segment it belongs to, the background how much it weighs. */
window.InstructorTokenView = window.InstructorTokenView || (() => {
  "use strict";

  const { el, button, onKeys, component, tooltip, painted, colorAt, scaleBar, chip, panelHead } = InstructorLinking;
  const { number } = InstructorFigure;
  const SECTION = { instruction: "instruction", straddling: "instruction and text", text: "text", cut: "cut off" };
  const SPOKEN = { ...SECTION, end: "end of sequence" };
  const LONG_WORD = 12; // pieces after which a word may break over the line
  const FOLD_FROM = 120; // tokens from which a row is folded

  function mount(element, props, watch, trigger, clickEvent) {
    const root = element.querySelector(".ic-tokens");
    const name = props.label || "Tokens";
    const view = { payload: null, bar: null, tokens: [], unfolded: new Set() };
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", name);

    function piece(token, row) {
      const starts = token.t.startsWith("▁");
      const weight = token.w === null ? "" : `, ${number(token.w)}`;
      const spoken = `${token.t.replace("▁", "") || "space"}, ${SPOKEN[token.s] || token.s}${weight}`;
      const { scale } = view.payload;
      const style = token.w !== null && scale ? painted(colorAt(scale, token.w)) : null;
      const act = () => trigger(clickEvent, { row, index: token.i });
      const node = button("", `ic-token ic-segment-${token.s}`, act, { "aria-label": spoken, tabindex: -1, style });
      if (starts) node.append(el("i", "ic-space"));
      node.append(el("span", "ic-piece", starts ? token.t.slice(1) : token.t));
      return node;
    }

    function tip(token) {
      const label = view.payload.scale?.label;
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
      const same = ({ row, token }) => row === entry.row && token.i === entry.token.i;
      for (const { node } of view.tokens.filter(same)) node.classList.toggle("ic-hover", on);
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
      let [word, segment] = [null, null];
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
      const head = panelHead(row.title, row.note, chip(row.chip, row.accent));
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
      if (!view.payload) return root.replaceChildren(el("p", "ic-empty", root.dataset.empty));
      const { scale, rows } = view.payload;
      view.bar = scale && scaleBar(scale);
      const bar = scale ? [el("div", "ic-plots-bar", view.bar)] : [];
      root.replaceChildren(el("h2", "ic-hidden", name), ...bar, ...rows.map(section));
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

    /** Goes to the token that `find` names, of where the focus is and of the row `step` rows on. */
    const to = (find, step = 0) => () => {
      const at = view.tokens.findIndex(({ node }) => node === document.activeElement);
      const rowAt = (down) => view.tokens.filter(({ row }) => row === view.tokens[at].row + down);
      if (at < 0) return false;
      find(rowAt(step), rowAt(0).indexOf(view.tokens[at]), at)?.node.focus();
    };
    const beside = (row, place) => row[Math.min(place, row.length - 1)];
    onKeys(root, {
      ArrowRight: to((row, place, at) => view.tokens[at + 1]),
      ArrowLeft: to((row, place, at) => view.tokens[at - 1]),
      ArrowDown: to(beside, 1),
      ArrowUp: to(beside, -1),
      Home: to((row) => row[0]),
      End: to((row) => row.at(-1)),
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
