/* The token view: rows of tokens that wrap like text (instructor_core/figures/token_rows.py). The line under a token
   says which segment it belongs to, the background how much it weighs. */
window.InstructorTokenView = window.InstructorTokenView || (() => {
  "use strict";

  const { el, onThemeChange, tooltip, inkOn, colorAt, scaleBar, chip } = InstructorLinking;
  const { number } = InstructorFigure;
  const THEME = window.InstructorTheme; // {light, dark, twins}, from the head of the page
  const SECTION = { instruction: "instruction", straddling: "instruction and text", text: "text", cut: "cut off" };
  const SPOKEN = { ...SECTION, end: "end of sequence" };
  const LONG_WORD = 12; // pieces after which a word may break over the line
  const FOLD_FROM = 120; // tokens from which a row is folded

  function mount(element, props, watch, trigger, clickEvent) {
    const root = element.querySelector(".ic-tokens");
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", props.label || "Tokens");
    const view = { payload: null, tokens: [], unfolded: new Set() };

    // ---------------------------------------------------------------------------------- one token

    function piece(token) {
      const node = el("button", `ic-token ic-segment-${token.s}`);
      node.type = "button";
      node.tabIndex = -1;
      const starts = token.t.startsWith("▁");
      if (starts) node.append(el("i", "ic-space"));
      node.append(el("span", "ic-piece", starts ? token.t.slice(1) : token.t));
      if (token.w !== null && view.payload.scale) {
        const background = colorAt(view.payload.scale, THEME.twins, token.w);
        node.style.background = background;
        node.style.color = inkOn(background);
      }
      const weight = token.w === null ? "" : `, ${number(token.w)}`;
      node.setAttribute("aria-label", `${token.t.replace("▁", "") || "space"}, ${SPOKEN[token.s] || token.s}${weight}`);
      return node;
    }

    function tip(token) {
      const head = el("p", "ic-tip-token", token.t);
      const facts = el("p", "ic-tip-name", `${SPOKEN[token.s] || token.s} · token ${token.i + 1}`);
      const parts = [head, facts];
      if (token.w !== null) {
        const values = el("p", "ic-tip-values");
        const label = view.payload.scale?.label;
        values.append(el("b", "", number(token.w)));
        if (label) values.append(el("span", "", label));
        parts.push(values);
      }
      if (token.tip) parts.push(...token.tip.split("\n").map((line) => el("p", "ic-tip-line", line)));
      return parts;
    }

    function near(entry, on) {
      for (const other of view.tokens) {
        if (other.row === entry.row && other.token.i === entry.token.i) other.node.classList.toggle("ic-hover", on);
      }
      view.bar?.pin(on ? entry.token.w : null);
      const detail = { view: element.parentElement?.id || "", row: entry.row, index: on ? entry.token.i : null };
      document.dispatchEvent(new CustomEvent("instructor:token", { detail }));
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
        const rect = node.getBoundingClientRect();
        tooltip.show(tip(token), rect.left, rect.bottom - 8);
      });
      node.addEventListener("blur", () => near(entry, false));
      node.addEventListener("click", () => trigger(clickEvent, { row: entry.row, index: token.i }));
    }

    // ---------------------------------------------------------------------------------- one row

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
          body.append(word, document.createTextNode("\u200b")); // a place where the line may break
        }
        const entry = { node: piece(token), token, row: place };
        word.append(entry.node);
        view.tokens.push(entry);
        wire(entry);
      }
      return body;
    }

    function heading(row) {
      const head = el("header", "ic-panel-head");
      const letter = row.accent ? /^([A-Z])\s*[·:]\s*/.exec(row.title) : null;
      if (row.accent) head.append(chip(letter ? letter[1] : "", row.accent));
      const words = el("div", "ic-panel-words");
      words.append(el("h3", "ic-panel-title", letter ? row.title.slice(letter[0].length) : row.title));
      if (row.note) words.append(el("p", "ic-panel-subtitle", row.note));
      head.append(words);
      return head;
    }

    function section(row, place) {
      const node = el("section", "ic-token-row");
      const body = flow(row, place);
      node.append(heading(row), body);
      if (row.tokens.length >= FOLD_FROM) {
        const button = el("button", "ic-more");
        const apply = () => {
          const open = view.unfolded.has(row.title);
          body.classList.toggle("ic-folded", !open);
          button.textContent = open ? "show less" : `show all ${row.tokens.length} tokens`;
          button.setAttribute("aria-expanded", String(open));
        };
        button.type = "button";
        button.addEventListener("click", () => {
          if (!view.unfolded.delete(row.title)) view.unfolded.add(row.title);
          apply();
        });
        apply();
        node.append(button);
      }
      return node;
    }

    function draw() {
      tooltip.hide();
      view.tokens = [];
      if (!view.payload) {
        root.replaceChildren(el("p", "ic-empty", root.dataset.empty));
        return;
      }
      const { rows, scale } = view.payload;
      view.bar = scale ? scaleBar(scale, THEME.twins) : null;
      const bar = el("div", "ic-plots-bar");
      if (view.bar) bar.append(view.bar);
      const name = el("h2", "ic-hidden", root.getAttribute("aria-label"));
      root.replaceChildren(name, ...(view.bar ? [bar] : []), ...rows.map(section));
      if (view.tokens[0]) view.tokens[0].node.tabIndex = 0;
    }

    // ---------------------------------------------------------------------------------- keys

    root.addEventListener("keydown", (event) => {
      const now = view.tokens.findIndex(({ node }) => node === document.activeElement);
      if (now < 0) return;
      const sameRow = view.tokens.filter(({ row }) => row === view.tokens[now].row);
      const within = sameRow.indexOf(view.tokens[now]);
      const beside = (step) => {
        const next = view.tokens.filter(({ row }) => row === view.tokens[now].row + step);
        return next[Math.min(within, next.length - 1)];
      };
      const moves = {
        ArrowRight: () => view.tokens[now + 1],
        ArrowLeft: () => view.tokens[now - 1],
        ArrowDown: () => beside(1),
        ArrowUp: () => beside(-1),
        Home: () => sameRow[0],
        End: () => sameRow[sameRow.length - 1],
      };
      if (event.key === "Escape") tooltip.hide();
      if (!(event.key in moves)) return;
      event.preventDefault();
      moves[event.key]()?.node.focus();
    });

    function accept() {
      view.payload = props.value ? JSON.parse(props.value) : null;
      draw();
    }

    const themed = onThemeChange(() => (root.isConnected ? draw() : themed.disconnect()));
    watch("value", accept);
    accept();
  }

  return { mount };
})();
