/* The numbered list of the texts in the run: linked with every plot, reachable by keyboard, in pages and with a search
   where there are many. Texts reach the page as text nodes only. */
window.InstructorTextList = window.InstructorTextList || (() => {
  "use strict";
  const { el, hover, itemsOf } = window.InstructorLinking;
  const PAGE = 200; // rows that stand in the page at once
  const SEARCH_FROM = 50; // texts from which on there is a search
  const TYPING = 120; // ms without a key until the search runs

  function mount(element, props, watch, trigger, clickEvent) {
    const list = element.querySelector(".ic-list");
    const tools = el("div", "ic-list-tools");
    const search = el("input");
    search.type = "search";
    search.placeholder = "search";
    search.setAttribute("aria-label", "Search texts and labels");
    const found = el("span", "ic-list-found");
    found.setAttribute("role", "status");
    const [back, on] = ["‹", "›"].map((sign) => el("button", "", sign));
    back.setAttribute("aria-label", "Previous texts");
    on.setAttribute("aria-label", "Next texts");
    back.type = on.type = "button";
    tools.append(search, found, back, on);
    list.before(tools);
    const view = { texts: [], labels: [], names: [], colors: [], hits: [], at: 0, selected: [] };

    const label = (item) => view.names[view.labels[item]] || "";
    const mark = () => {
      for (const node of list.children) {
        node.classList.toggle("ic-selected", view.selected.includes(Number(node.dataset.item)));
      }
    };

    function row(item, index) {
      const node = el("li");
      node.dataset.item = String(item);
      node.tabIndex = index ? -1 : 0;
      node.setAttribute("role", "option");
      node.append(el("span", "", String(item + 1)), el("span", "ic-list-text", view.texts[item]));
      if (label(item)) {
        const tag = el("span", "ic-label", label(item));
        tag.style.setProperty("--ic-dot", view.colors[view.labels[item]]);
        node.append(tag);
      }
      return node;
    }

    function show(at) {
      const { hits, texts } = view;
      view.at = Math.max(0, Math.floor(Math.min(at, hits.length - 1) / PAGE) * PAGE);
      list.replaceChildren(...hits.slice(view.at, view.at + PAGE).map(row));
      const last = Math.min(view.at + PAGE, hits.length);
      const shown = hits.length > PAGE ? `${view.at + 1}–${last} of ` : "";
      found.textContent = `${shown}${hits.length}${hits.length < texts.length ? " found" : ""}`;
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

    function accept() {
      Object.assign(view, props.value ? JSON.parse(props.value) : { texts: [], labels: [], names: [], colors: [] });
      search.value = "";
      filter();
    }

    /** What is selected elsewhere comes into sight, unless a search decides what is shown. */
    function follow(items) {
      view.selected = items;
      const place = view.hits.indexOf(items[0]);
      if (place >= 0 && !search.value && (place < view.at || place >= view.at + PAGE)) show(place);
      mark();
    }

    function focus(index) {
      const node = list.children[Math.max(0, Math.min(index, list.children.length - 1))];
      if (!node) return;
      for (const other of list.children) other.tabIndex = -1;
      node.tabIndex = 0;
      node.focus();
      hover({ items: [Number(node.dataset.item)], source: node });
    }

    const choose = (node) => trigger(clickEvent, { item: Number(node.dataset.item) });
    list.addEventListener("click", (event) => {
      const node = event.target.closest("[data-item]");
      if (node) choose(node);
    });
    list.addEventListener("keydown", (event) => {
      const index = [...list.children].indexOf(document.activeElement);
      if (event.key === "ArrowDown") focus(index + 1);
      else if (event.key === "ArrowUp") focus(index - 1);
      else if (event.key === "Home") focus(0);
      else if (event.key === "End") focus(list.children.length - 1);
      else if (event.key === "Enter" || event.key === " ") choose(document.activeElement);
      else return;
      event.preventDefault();
    });
    back.addEventListener("click", () => show(view.at - PAGE));
    on.addEventListener("click", () => show(view.at + PAGE));
    let waiting = 0;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(filter, TYPING);
    });
    const alive = new AbortController();
    document.addEventListener(
      "instructor:select",
      (event) => (list.isConnected ? follow(itemsOf(event.detail)) : alive.abort()),
      { signal: alive.signal },
    );
    watch("value", accept);
    accept();
  }

  return { mount };
})();
