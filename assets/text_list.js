/* The numbered list of the texts in the run: linked with every plot, reachable by keyboard. Texts reach the page as
   text nodes only. */
window.InstructorTextList = window.InstructorTextList || (() => {
  "use strict";
  const { el, hover } = window.InstructorLinking;

  function mount(element, props, watch, trigger, clickEvent) {
    const list = element.querySelector(".ic-list");
    let selected = [];

    function mark(items) {
      selected = items;
      for (const node of list.children) node.classList.toggle("ic-selected", items.includes(Number(node.dataset.item)));
    }

    function focus(index) {
      const node = list.children[Math.max(0, Math.min(index, list.children.length - 1))];
      if (!node) return;
      for (const other of list.children) other.tabIndex = -1;
      node.tabIndex = 0;
      node.focus();
      hover({ items: [Number(node.dataset.item)], source: node });
    }

    function draw() {
      const rows = props.value ? JSON.parse(props.value) : [];
      list.replaceChildren(
        ...rows.map((row, index) => {
          const node = el("li");
          node.dataset.item = String(row.item);
          node.tabIndex = index ? -1 : 0;
          node.setAttribute("role", "option");
          node.append(el("span", "", String(row.item + 1)), el("span", "ic-list-text", row.text));
          if (row.label) {
            const label = el("span", "ic-label", row.label);
            label.style.setProperty("--ic-dot", row.color);
            node.append(label);
          }
          return node;
        }),
      );
      mark(selected);
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
    watch("value", draw);
    draw();
  }

  return { mount };
})();
