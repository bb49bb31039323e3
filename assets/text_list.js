/* The numbered list of the texts in the run: linked with every plot, reachable by keyboard, in pages and with a search
   where there are many. A double click, F2, or Enter on a selected row changes its text. */
window.InstructorTextList = window.InstructorTextList || (() => {
  "use strict";

  const { el, button, onKeys, hover, itemsOf, component } = InstructorLinking;
  const PAGE = 200; // rows that stand in the page at once
  const SEARCH_FROM = 8; // texts from which on there is a search
  const LONGEST = 20_000; // characters of a text
  const TYPING = 120; // ms without a key until the search runs

  function mount(element, props, watch, trigger, clickEvent, editEvent) {
    const list = element.querySelector(".ic-list");
    const search = el("input", { type: "search", placeholder: "search", "aria-label": "Search texts and labels" });
    const found = el("span", { class: "ic-list-found", role: "status" });
    const back = button("‹", "", () => show(view.at - PAGE), { "aria-label": "Previous texts" });
    const on = button("›", "", () => show(view.at + PAGE), { "aria-label": "Next texts" });
    const tools = el("div", "ic-list-tools", search, found, back, on);
    const view = { texts: [], labels: [], names: [], colors: [], hits: [], at: 0, selected: [], near: [], edited: -1 };
    list.before(tools);

    const label = (item) => view.names[view.labels[item]] || "";
    const itemOf = (node) => Number(node.dataset.item);

    function mark() {
      for (const node of list.children) {
        node.classList.toggle("ic-selected", view.selected.includes(itemOf(node)));
        node.classList.toggle("ic-hover", view.near.includes(itemOf(node)));
      }
    }

    function row(item, index) {
      const attributes = { "data-item": item, tabindex: index ? -1 : 0, role: "option" };
      const dot = { class: "ic-label", style: `--ic-dot: ${view.colors[view.labels[item]]}` };
      const tag = label(item) ? el("span", dot, label(item)) : null;
      return el("li", attributes, el("span", "", item + 1), el("span", "ic-list-text", view.texts[item]), tag);
    }

    function show(at) {
      const { hits, texts } = view;
      view.at = Math.max(0, Math.floor(Math.min(at, hits.length - 1) / PAGE) * PAGE);
      list.replaceChildren(...hits.slice(view.at, view.at + PAGE).map(row));
      const last = Math.min(view.at + PAGE, hits.length);
      const part = hits.length > PAGE ? `${view.at + 1}–${last} of ` : "";
      found.textContent = `${part}${hits.length}${hits.length < texts.length ? " found" : ""}`;
      tools.hidden = texts.length < SEARCH_FROM;
      back.hidden = on.hidden = hits.length <= PAGE;
      back.disabled = view.at === 0;
      on.disabled = last === hits.length;
      mark();
    }

    function filter() {
      const wanted = search.value.trim().toLowerCase();
      const fits = (text, item) => text.toLowerCase().includes(wanted) || label(item).toLowerCase().includes(wanted);
      view.hits = view.texts.map((_, item) => item).filter((item) => !wanted || fits(view.texts[item], item));
      show(wanted ? 0 : (view.selected[0] ?? 0));
    }

    function accept(value) {
      Object.assign(view, value);
      search.value = "";
      filter();
      if (view.edited >= 0) focus(view.hits.indexOf(view.edited) - view.at);
      view.edited = -1;
    }

    /** What is selected elsewhere comes into sight, unless a search decides what is shown. */
    function follow(detail) {
      view.selected = itemsOf(detail);
      const place = view.hits.indexOf(view.selected[0]);
      if (place >= 0 && !search.value && (place < view.at || place >= view.at + PAGE)) show(place);
      mark();
    }

    function focus(index) {
      const node = list.children[Math.max(0, Math.min(index, list.children.length - 1))];
      if (!node) return;
      for (const other of list.children) other.tabIndex = -1;
      node.tabIndex = 0;
      node.focus();
      hover({ items: [itemOf(node)] });
    }

    const choose = (node) => node && trigger(clickEvent, { item: itemOf(node) });

    /** The text of a row as a field: Enter or leaving it saves, Escape does not. */
    function edit(node) {
      if (!node || node.querySelector("input")) return;
      if (!view.whole) return InstructorShell.edit(); // what stands here is shortened
      const item = itemOf(node);
      const words = node.querySelector(".ic-list-text");
      const before = view.texts[item];
      const field = el("input", { class: "ic-list-text", "aria-label": `Text ${item + 1}`, maxlength: LONGEST });
      let goesOn = false; // with the keyboard, on the row
      field.value = before;
      field.addEventListener("keydown", (event) => {
        event.stopPropagation(); // the keys of the list are the field's own here
        goesOn = event.key === "Enter" || event.key === "Escape";
        if (event.key === "Escape") field.value = before;
        if (goesOn) field.blur();
      });
      field.addEventListener("blur", () => {
        const text = field.value.trim();
        field.replaceWith(words);
        if (goesOn) node.focus();
        if (!text || text === before.trim()) return;
        words.textContent = text;
        view.edited = goesOn ? item : -1;
        InstructorShell.stale(true);
        trigger(editEvent, { item, before, text });
      });
      words.replaceWith(field);
      field.focus();
    }

    const now = () => [...list.children].indexOf(document.activeElement);
    list.addEventListener("pointerover", ({ target }) => {
      const node = target.closest("[data-item]");
      if (node) hover({ items: [itemOf(node)] });
    });
    list.addEventListener("pointerout", () => hover({ items: [] }));
    list.addEventListener("click", ({ target }) => target.matches("input") || choose(target.closest("[data-item]")));
    list.addEventListener("dblclick", ({ target }) => edit(target.closest("[data-item]")));
    onKeys(list, {
      ArrowDown: () => focus(now() + 1),
      ArrowUp: () => focus(now() - 1),
      Home: () => focus(0),
      End: () => focus(list.children.length - 1),
      Enter: () => {
        const node = document.activeElement;
        (node.classList.contains("ic-selected") ? edit : choose)(node);
      },
      F2: () => edit(document.activeElement),
      " ": () => choose(document.activeElement),
    });
    let waiting = 0;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(filter, TYPING);
    });
    const near = (detail) => {
      view.near = itemsOf(detail);
      mark();
    };
    component(list, props, watch, accept, { select: follow, hover: near });
  }

  return { mount };
})();
