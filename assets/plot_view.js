/* The plot view: draws the JSON of a PanelSet (instructor_core/figures/panels.py) as a grid of Plotly figures with
   one scale bar, one tooltip, linked marks, and keys. See ui/components.py for the events that go back to Python. */
window.InstructorPlotView = window.InstructorPlotView || (() => {
  "use strict";

  const { el, onKeys, hover, select, component, isDark, given, itemsOf, tooltip } = InstructorLinking;
  const { THEME, inkOn, colorAt, scaleBar, chip, panelHead } = InstructorLinking;
  const { CONFIG, number, unescape, matrixOf, cellLines, pointLines } = InstructorFigure;
  const { GAP, clamp, letterScale, dressed, matrixLayout } = InstructorPanelLayout;
  const { tagRoom, wordsBeside, fitTitles, heightLeft } = InstructorPanelLayout;
  const NARROW = 350; // px of a map below which its points carry numbers alone
  const SHAPES = { // of 12 x 12 px, for the legend
    square: "1,1 11,1 11,11 1,11",
    diamond: "6,0 12,6 6,12 0,6",
    "triangle-up": "6,1 12,11 0,11",
    "triangle-down": "0,1 12,1 6,11",
    cross: "4,0 8,0 8,4 12,4 12,8 8,8 8,12 4,12 4,8 0,8 0,4 4,4",
  };
  const FIXED = { doubleClick: "reset", showTips: false, responsive: false };
  // The same arrays for every drawing: Plotly forgets the zoom when they are others.
  const FLAT = [["zoom2d", "pan2d", "resetScale2d"]];
  const BUTTONS = {
    points: [["zoom2d", "pan2d", "select2d", "lasso2d", "resetScale2d"]],
    space: [["orbitRotation", "pan3d", "resetCameraDefault3d"]],
  };

  /** Plotly's script is asked for by the head of the page, and may come after the first values. */
  const plotly = () =>
    window.Plotly ||
    new Promise((done) => document.querySelector('script[src*="plotly.min.js"]').addEventListener("load", done));

  const coarse = () => window.matchMedia("(pointer: coarse)").matches;

  /** What the traces of a figure are about: {matrix} or {points: [{item, trace, at}]}, both may be missing. */
  function read({ data }, items) {
    const index = data.findIndex((trace) => trace.meta?.kind === "matrix");
    const points = data.flatMap(({ meta, customdata }, trace) =>
      meta?.kind === "points" ? (customdata || []).map((item, at) => ({ item, trace, at })) : [],
    );
    return {
      kind: points.length ? "points" : index >= 0 ? "matrix" : "plain",
      matrix: index >= 0 ? { index, ...matrixOf(data[index], items) } : null,
      points: points.sort((a, b) => a.item - b.item),
      threeD: data.some((trace) => /3d$|^surface$|^mesh3d$/.test(trace.type || "")),
    };
  }

  /** The traces that one legend explains on all maps of a view; null where maps differ or have none. */
  function sharedLegend(panels) {
    const maps = panels.filter(({ content, data }) => content.kind === "points" && data.figure.layout.showlegend);
    const names = ({ data }) => data.figure.data.map((trace) => trace.name).join("\n");
    return maps.length && maps.every((panel) => names(panel) === names(maps[0])) ? maps[0].data.figure.data : null;
  }

  function legendOf(traces) {
    const legend = el("ul", "ic-legend");
    for (const { name, marker, customdata, showlegend } of traces) {
      if (showlegend === false || !name) continue;
      const points = SHAPES[marker.symbol];
      const shape = points ? { points } : { cx: 6, cy: 6, r: 5 };
      const swatch = el("svg", { width: 12, height: 12 }, el(points ? "polygon" : "circle", { ...shape, fill: marker.color }));
      const entry = el("li", "", swatch, el("span", "", unescape(name)));
      entry.addEventListener("pointerenter", () => hover({ items: [...(customdata || [])] }));
      entry.addEventListener("pointerleave", () => hover({ items: [] }));
      legend.append(entry);
    }
    return legend;
  }

  function mount(element, props, watch, trigger, clickEvent) {
    const root = element.querySelector(".ic-plots");
    const name = props.label || "Figures";
    const view = { panels: new Map(), payload: null, bar: null, hover: { items: [] }, selection: {}, width: 0 };
    const bar = el("div", "ic-plots-bar");
    const grid = el("div", "ic-grid");
    const empty = el("p", "ic-empty", root.dataset.empty);
    const alt = el("p", { class: "ic-hidden", id: `${element.id || props.label}-alt`.replace(/\W+/g, "-") });
    const live = el("p", { class: "ic-hidden", "aria-live": "polite" });
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", name);
    root.replaceChildren(el("h2", "ic-hidden", name), bar, grid, empty, alt, live);

    function addPanel(key) {
      const head = el("header");
      const gd = el("div", "ic-plot");
      const overlay = el("svg", { class: "ic-overlay", "aria-hidden": "true", width: 1, height: 1 }); // overflows
      const box = el("div", "ic-figure", gd, overlay);
      const panel = { key, node: el("section", "ic-panel", head, box), head, box, gd, overlay, cursor: [0, 0] };
      walk(panel);
      box.addEventListener("focus", () => box.matches(":focus-visible") && tellCursor(panel));
      box.addEventListener("blur", leave);
      box.addEventListener("pointermove", (event) => tooltip.move(event.clientX, event.clientY), { passive: true });
      box.addEventListener("pointerleave", leave);
      view.panels.set(key, panel);
      return panel;
    }

    function heading(panel) {
      const { title, subtitle, accent, chip: letter } = panel.data;
      const save = InstructorFigureFiles.menu(title, () => described(panel), (words) => (live.textContent = words));
      const head = panelHead(title, subtitle, chip(letter, accent), save);
      panel.head.replaceWith(head);
      panel.head = head;
      panel.title = head.querySelector(".ic-panel-title");
      panel.node.dataset.chip = letter ?? "";
    }

    function describe(panel) {
      const { box, data } = panel;
      const { kind, matrix, points } = panel.content;
      const keys = kind !== "plain";
      const size = kind === "points" ? `${points.length} points` : `matrix of ${matrix?.rows.n} rows and ${matrix?.columns.n} columns`;
      const spoken = keys ? `${size}. Arrow keys move, Enter selects` : data.subtitle || "figure";
      // Not "img": the buttons over a figure are inside it, and would be lost with it.
      box.setAttribute("role", keys ? "application" : "figure");
      box.setAttribute("aria-label", `${data.title}: ${spoken}`);
      box.setAttribute("aria-describedby", alt.id);
      if (keys) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }

    /** What a saved file shows besides the figure itself. */
    const described = (panel) => ({ ...view.payload, ...panel.data, gd: panel.gd, frames: panel.data.figure.frames });

    function prepare(panel) {
      const { figure } = panel.data;
      const { content } = panel;
      const theme = isDark() ? THEME.dark : THEME.light;
      const { color: ink } = theme.layout.font;
      const factor = letterScale();
      const look = { twins: isDark() ? THEME.twins : {}, factor, ink, faint: theme.layout.xaxis.tickfont.color };
      const template = dressed(theme, look);
      const data = dressed(figure.data, look);
      const layout = dressed(structuredClone(figure.layout), look); // Plotly writes the zoom into it
      const width = panel.box.clientWidth;
      delete layout.title;
      Object.assign(layout, { template, autosize: false });
      layout.hovermode ??= "closest";
      layout.uirevision ??= `${content.kind} ${content.points.length} ${content.matrix?.rows.n} ${content.matrix?.columns.n}`;
      if (content.threeD) layout.scene = { camera: { eye: { x: 1.5, y: 1.5, z: 0.9 } }, ...layout.scene };
      else layout.dragmode = coarse() ? false : (layout.dragmode ?? "zoom");
      if (content.matrix) {
        const cell = matrixLayout(layout, content, panel.data, width, ink, panel.words, heightLeft(panel.box));
        const trace = data[content.matrix.index];
        const gap = Math.min(...cell) >= 9 ? 1 : 0;
        trace.xgap ??= gap;
        trace.ygap ??= gap;
        trace.showscale = false;
        // A digit takes some 7 px; a minus sign, a zero and the point are always there.
        const decimals = Number(/\.(\d)f/.exec(trace.texttemplate || "")?.[1] ?? 2);
        if (cell[0] < (14 + 7 * decimals) * factor || cell[1] < 16 * factor) delete trace.texttemplate;
      } else {
        const bare = layout.xaxis?.visible === false || layout.xaxis?.showticklabels === false;
        if (!layout.margin && (bare || content.threeD)) layout.margin = { l: 6, r: 6, t: 6, b: 6 };
        for (const side of ["l", "b"]) if (factor > 1 && layout.margin?.[side] > 20) layout.margin[side] *= factor;
        const below = heightLeft(panel.box);
        const own = (layout.height || (content.threeD ? 420 : 340)) * factor;
        const height = panel.data.aspect ? clamp(width * panel.data.aspect, 180, below ?? 640) : Math.min(own, below ?? own);
        Object.assign(layout, { width, height: Math.round(height) });
        if (content.kind === "points") dressMap(layout, data, width, ink);
      }
      if (content.threeD && content.points.length) {
        data.push({
          type: "scatter3d", mode: "markers", x: [], y: [], z: [], hoverinfo: "skip", showlegend: false, meta: { kind: "mark" },
          marker: { symbol: "circle-open", size: 16 * factor, color: ink, line: { width: 3, color: ink } },
        });
      }
      return { data, layout, frames: figure.frames };
    }

    /** The names of groups with light around them; points of a narrow map carry numbers alone. */
    function dressMap(layout, data, width, ink) {
      if (view.legend) Object.assign(layout, { showlegend: false, meta: { legend: layout.showlegend } });
      const page = getComputedStyle(document.body).getPropertyValue("--ic-page").trim();
      const shadow = [1, 2, 3, 3].map((blur) => `0 0 ${blur}px ${page}`).join(", ");
      for (const note of layout.annotations || []) if (note.name === "group") note.font = { ...note.font, color: ink, shadow };
      if (width >= NARROW * letterScale()) return;
      for (const trace of data) if (Array.isArray(trace.text)) trace.text = trace.text.map((words) => words.split(" ")[0]);
    }

    async function drawPanel(panel, figure) {
      const { payload } = view;
      const fresh = !panel.gd.on;
      const modeBarButtons = BUTTONS[panel.content.threeD ? "space" : panel.content.kind] ?? FLAT;
      const config = { ...CONFIG, displayModeBar: coarse() ? false : "hover", modeBarButtons, ...FIXED };
      await Plotly.react(panel.gd, { ...figure, config });
      if (fresh) wire(panel);
      if (view.payload !== payload) return; // drawn anew with the next one
      panel.marked3d = "";
      inkCells(panel);
      InstructorTravel.go(panel, view.panels.get(payload.panels[0].key));
      mark(panel);
    }

    async function draw() {
      const { payload } = view;
      empty.hidden = Boolean(payload);
      bar.hidden = grid.hidden = !payload;
      view.width = root.clientWidth; // 0 in a tab that is not in front: the ResizeObserver calls again
      if (!payload || !view.width) return;
      const all = payload.panels.map(({ key }) => view.panels.get(key));
      all.forEach(({ node }) => node.classList.remove("ic-beyond"));
      const fitting = Math.max(1, Math.floor((view.width + GAP) / (payload.min_width + GAP))); // in one row
      let panels = all.filter(({ node }) => getComputedStyle(node).display !== "none"); // the presenter shows one
      if (document.body.classList.contains("ic-presenter")) {
        panels.slice(fitting).forEach(({ node }) => node.classList.add("ic-beyond")); // or what one row takes
        panels = panels.slice(0, fitting);
      }
      // Equal rows where possible: four panels where three would fit become two and two.
      const lines = Math.ceil(all.length / fitting) || 1;
      const n = Math.max(1, Math.min(Math.ceil(all.length / lines), panels.length));
      const beside = wordsBeside(panels, n, view.width);
      const more = beside ? beside - tagRoom(panels[0].content.matrix) : 0;
      const first = more ? `${Math.floor((view.width - (n - 1) * GAP - more) / n + more)}px` : "minmax(0, 1fr)";
      grid.style.gridTemplateColumns = [first, ...Array(n - 1).fill("minmax(0, 1fr)")].join(" ");
      panels.forEach((panel, place) => (panel.words = n > 1 ? (place % n ? 0 : beside) : undefined));
      fitTitles(panels);
      view.bar = payload.scale ? scaleBar(payload.scale) : null;
      view.legend = sharedLegend(all);
      bar.replaceChildren(...[view.legend && legendOf(view.legend), view.bar].filter(Boolean));
      bar.hidden = !view.bar && !view.legend;
      await plotly(); // what stands over the figures is there by then: nothing moves
      if (view.payload !== payload) return;
      const shown = [...view.panels.values()].filter(({ box }) => box.clientWidth);
      if (shown.length < view.panels.size) view.width = 0; // hidden meanwhile
      // All at once, and measured before any is drawn: the page is laid out once.
      const figures = shown.map(prepare);
      shown.forEach((panel, place) => drawPanel(panel, figures[place]));
    }

    function accept(payload) {
      const keys = new Set((payload?.panels || []).map((panel) => panel.key));
      for (const [key, panel] of view.panels) {
        if (keys.has(key)) continue;
        window.Plotly?.purge(panel.gd); // it may still be on its way
        panel.node.remove();
        view.panels.delete(key);
      }
      const sameItems = payload && view.payload && payload.items.join("\n") === view.payload.items.join("\n");
      view.payload = payload;
      view.hover = { items: [] };
      tooltip.hide();
      if (payload?.selected) view.selection = payload.selected;
      else if (!sameItems) view.selection = {};
      alt.textContent = payload?.alt || "";
      for (const [place, data] of (payload?.panels || []).entries()) {
        const panel = view.panels.get(data.key) || addPanel(data.key);
        const before = panel.gd.on ? InstructorTravel.seen(panel) : null;
        panel.data = data;
        panel.content = read(data.figure, payload.items);
        InstructorTravel.plan(panel, before, sameItems);
        panel.cursor = [0, 0];
        if (grid.children[place] !== panel.node) grid.insertBefore(panel.node, grid.children[place] || null);
        heading(panel);
        describe(panel);
      }
      draw();
    }

    /** A line with light around it, to be seen on every colour. */
    function shape(panel, tag, place, className) {
      const nodes = ["ic-halo", className].map((layer) => el(tag, { ...place, class: layer }));
      panel.overlay.append(...nodes);
      return nodes;
    }

    const axes = (panel, trace) => panel.gd._fullLayout._plots[(trace?.xaxis || "x") + (trace?.yaxis || "y")];

    /** The rectangle of cells in the overlay's pixels, cut to the plotted area; null if zoomed out of sight. */
    function cells(panel, r0, r1, c0, c1) {
      const { xaxis: x, yaxis: y } = axes(panel, panel.gd._fullData[panel.content.matrix.index]);
      const span = (axis, from, to) => {
        const ends = [axis._offset + axis.c2p(from - 0.5), axis._offset + axis.c2p(to + 0.5)].sort((a, b) => a - b);
        return ends.map((end) => clamp(end, axis._offset, axis._offset + axis._length));
      };
      const [left, right] = span(x, c0, c1);
      const [top, bottom] = span(y, r0, r1);
      return right - left < 1 || bottom - top < 1 ? null : { x: left, y: top, width: right - left, height: bottom - top };
    }

    function markMatrix(panel) {
      const { rows, columns: cols } = panel.content.matrix;
      const where = (side, item) => (given(item) && side.linked ? side.items.indexOf(item) : -1);
      const box = (r0, r1, c0, c1, className) => {
        const rect = Math.min(r0, c0) >= 0 && cells(panel, r0, r1, c0, c1);
        if (rect) shape(panel, "rect", rect, className);
      };
      const one = ([r, c], className) => box(r, r, c, c, className);
      const line = (r, c) => {
        box(r, r, 0, cols.n - 1, "ic-line");
        box(0, rows.n - 1, c, c, "ic-line");
      };
      const lines = (items) => items.forEach((item) => line(where(rows, item), where(cols, item)));
      /** The cell that is meant, by its place or by its texts; null where no cell is. */
      const meant = ({ cell, row, column, panel: key, root: from }) => {
        const twin = cell && cell.shape === `${rows.n} ${cols.n}` && !(rows.linked && cols.linked);
        if (cell && from === root && (key === panel.key || twin)) return [cell.r, cell.c];
        return given(row) || given(column) ? [where(rows, row), where(cols, column)] : null;
      };
      const { selection, hover: now } = view;
      const [chosen, at] = [selection, now].map(meant);
      if (chosen) one(chosen, "ic-chosen");
      if (!given(selection.row) && selection.items?.length <= 3) lines(selection.items);
      if (at) line(...at);
      else lines(now.items);
      if (at) one(at, "ic-at");
    }

    function place(panel, point) {
      const trace = panel.gd._fullData[point.trace];
      if (!trace || trace.visible !== true) return null;
      const { xaxis: x, yaxis: y } = axes(panel, trace);
      const source = panel.data.figure.data[point.trace];
      const at = [x._offset + x.d2p(source.x[point.at]), y._offset + y.d2p(source.y[point.at])];
      const inside = at[0] >= x._offset && at[0] <= x._offset + x._length && at[1] >= y._offset && at[1] <= y._offset + y._length;
      const size = Array.isArray(trace.marker?.size) ? trace.marker.size[point.at] : trace.marker?.size;
      return inside ? { cx: at[0], cy: at[1], r: (size || 8) / 2 + 1.5 } : null;
    }

    function markPoints(panel) {
      const chosen = new Set(itemsOf(view.selection));
      const near = new Set(itemsOf(view.hover));
      if (panel.content.threeD) {
        const ringed = panel.content.points.filter(({ item }) => chosen.has(item) || near.has(item));
        const wanted = ringed.map(({ trace, at }) => `${trace}:${at}`).join();
        if (wanted === panel.marked3d) return;
        panel.marked3d = wanted;
        const pick = (axis) => [ringed.map(({ trace, at }) => panel.data.figure.data[trace][axis][at])];
        Plotly.restyle(panel.gd, { x: pick("x"), y: pick("y"), z: pick("z") }, [panel.data.figure.data.length]);
        return;
      }
      for (const point of panel.content.points) {
        if (!chosen.has(point.item) && !near.has(point.item)) continue;
        const ring = place(panel, point);
        if (!ring) continue;
        for (const node of shape(panel, "circle", ring, near.has(point.item) ? "ic-at" : "ic-chosen")) {
          InstructorTravel.join(panel, point.item, node);
        }
      }
    }

    function mark(panel) {
      panel.overlay.replaceChildren();
      if (!panel.gd._fullLayout) return;
      if (panel.content.matrix) markMatrix(panel);
      if (panel.content.points.length) markPoints(panel);
    }

    /** Plotly writes dark grey or white into cells, too faint on the middle of a scale: black or white instead. */
    function inkCells(panel) {
      const trace = panel.content.matrix && panel.gd.data?.[panel.content.matrix.index];
      if (!trace?.texttemplate || !Array.isArray(trace.colorscale)) return;
      const scale = { colors: trace.colorscale.map(([, color]) => color), low: trace.zmin, high: trace.zmax };
      for (const label of panel.gd.querySelectorAll(".heatmap-label text")) {
        const { z } = label.__data__ || label.parentNode.__data__ || {};
        if (typeof z === "number") label.style.fill = inkOn(colorAt(scale, z));
      }
    }

    let waiting = 0;
    function markAll() {
      waiting ||= requestAnimationFrame(() => {
        waiting = 0;
        for (const panel of view.panels.values()) mark(panel);
      });
    }

    const itemLine = ([tag, text]) => el("p", "ic-tip-item", tag ? el("b", "", tag) : null, el("span", "", text));

    /** The value here and, where the set has the same cell under other instructions, there. */
    function cellTip(panel, r, c) {
      const { matrix } = panel.content;
      const [[value, here], ...texts] = cellLines(matrix, r, c);
      const [rowItem, columnItem] = [matrix.rows.items[r], matrix.columns.items[c]];
      const values = el("p", "ic-tip-values");
      for (const other of view.panels.values()) {
        const twin = other.content.matrix;
        if (!twin || (other !== panel && twin.value !== value)) continue;
        const [i, j] = [twin.rows.items.indexOf(rowItem), twin.columns.items.indexOf(columnItem)];
        if (other !== panel && (i < 0 || j < 0 || twin.rows.linked !== matrix.rows.linked)) continue;
        const mark = chip(other.data.chip, other.data.accent);
        if (!mark && other.key.length > 3 && other !== panel) continue;
        const key = mark || other.key.length > 3 ? mark : el("span", "", other.key);
        const there = el("b", "", other === panel ? here : number(twin.z[i][j]));
        values.append(el("span", other === panel ? "ic-here" : "", key, there));
      }
      return [el("p", "ic-tip-name", value), values, ...texts.map(itemLine)];
    }

    function pointTip(panel, point) {
      const [text, ...notes] = pointLines(panel.data.figure.data[point.trace], view.payload.items, point.at);
      const { nearest } = panel.data.figure.data[point.trace].meta;
      const near = nearest ? nearest[point.at].map((item) => itemLine([String(item + 1), view.payload.items[item]])) : [];
      if (near.length) near.unshift(el("p", "ic-tip-note", panel.data.chip ? `nearest under ${panel.data.chip}` : "nearest"));
      return [itemLine(text), ...notes.map(([, words]) => el("p", "ic-tip-note", words)), ...near];
    }

    /** Marks and tells what is at a place of the screen: {cell: [r, c]}, {point} or {tip: text}. */
    function over(panel, { cell, point, tip }, x, y, say = false) {
      const detail = { items: [], root, panel: panel.key };
      let lines = tip?.split("\n").map((line) => el("p", "ic-tip-line", line));
      if (cell) {
        const { rows, columns: cols, z } = panel.content.matrix;
        const [r, c] = cell;
        detail.cell = { r, c, shape: `${rows.n} ${cols.n}` };
        if (rows.linked) detail.row = rows.items[r];
        if (cols.linked) detail.column = cols.items[c];
        detail.items = itemsOf(detail);
        view.bar?.pin(z[r][c]);
        lines = cellTip(panel, r, c);
      } else if (point) {
        detail.items = [point.item];
        lines = pointTip(panel, point);
      }
      if (!tip) hover(detail);
      tooltip.show(lines, x, y);
      if (say) live.textContent = lines.map((node) => node.textContent).join(", ");
    }

    function leave() {
      tooltip.hide();
      view.bar?.pin(null);
      hover({ items: [] });
    }

    function choose(panel, { cell, point }) {
      const source = { panel: panel.key, instruction: panel.data.instruction };
      if (cell) {
        const [r, c] = cell;
        const { rows, columns: cols, z } = panel.content.matrix;
        const [row, column] = [rows.items[r], cols.items[c]];
        if (rows.linked && cols.linked) select({ row, column, items: [] });
        else {
          view.selection = { panel: panel.key, root, cell: { r, c } };
          markAll();
        }
        trigger(clickEvent, { ...source, kind: "matrix", row, column, value: z[r][c] });
      } else if (point) {
        const before = itemsOf(view.selection)[0]; // as in the list: the former text is the other of the pair
        const items = before === undefined ? [point.item] : [point.item, before];
        if (point.item !== before) select({ items });
        trigger(clickEvent, { ...source, kind: "points", item: point.item });
      }
    }

    /** What a Plotly event points at: {cell: [r, c]}, {point}, {tip: text}, or null. */
    function target(panel, event) {
      const hit = event.points?.[0];
      if (!hit) return null;
      const trace = panel.data.figure.data[hit.curveNumber];
      const kind = trace?.meta?.kind;
      if (kind === "matrix") return { cell: hit.pointNumber ?? [Math.round(hit.y), Math.round(hit.x)] };
      if (kind === "points") return { point: { item: hit.customdata, trace: hit.curveNumber, at: hit.pointNumber } };
      const text = Array.isArray(trace?.customdata) ? (hit.customdata ?? trace.customdata[hit.pointNumber]) : undefined;
      return typeof text === "string" ? { tip: text } : null;
    }

    function wire(panel) {
      const { gd } = panel;
      gd.on("plotly_hover", (event) => {
        const hit = target(panel, event);
        if (hit) over(panel, hit, event.event.clientX, event.event.clientY);
      });
      gd.on("plotly_unhover", leave);
      gd.on("plotly_click", (event) => {
        const hit = target(panel, event);
        if (!hit) return;
        choose(panel, hit);
        const finger = tooltip.touched(); // Plotly tells of no finger that comes near
        if (finger) over(panel, hit, ...finger);
      });
      gd.on("plotly_selected", (event) => {
        const hits = event?.points?.map((hit) => target(panel, { points: [hit] })?.point?.item).filter(given);
        if (event) select({ items: [...new Set(hits)].sort((a, b) => a - b) });
      });
      gd.on("plotly_deselect", () => select({ items: [] }));
      gd.on("plotly_afterplot", () => inkCells(panel));
      for (const name of ["plotly_relayout", "plotly_relayouting", "plotly_restyle", "plotly_afterplot"]) {
        gd.on(name, () => panel.content.threeD || markAll());
      }
    }

    const atCursor = ({ content, cursor }) => (content.matrix ? { cell: cursor } : { point: content.points[cursor[1]] });

    function tellCursor(panel) {
      const [r, c] = panel.cursor;
      const { kind, matrix, points, threeD } = panel.content;
      if (kind === "plain") return;
      const rect = matrix && cells(panel, r, r, c, c);
      const ring = !matrix && !threeD && place(panel, points[c]);
      const [x, y] = rect ? [rect.x + rect.width, rect.y + rect.height / 2] : ring ? [ring.cx, ring.cy] : [20, 20];
      const { left, top } = panel.box.getBoundingClientRect();
      over(panel, atCursor(panel), left + x, top + y, true);
    }

    /** Arrow keys go from cell to cell or from text to text, Enter and the space bar choose. */
    function walk(panel) {
      const step = (down, right, jump) => {
        const { kind, matrix, points } = panel.content;
        const [r, c] = panel.cursor;
        const [height, width] = matrix ? [matrix.rows.n, matrix.columns.n] : [1, points.length];
        const across = jump ?? c + right + (matrix ? 0 : down);
        panel.cursor = [clamp(r + down, 0, height - 1), clamp(across, 0, width - 1)];
        tellCursor(panel);
        return kind !== "plain";
      };
      const act = () => panel.content.kind !== "plain" && choose(panel, atCursor(panel));
      onKeys(panel.box, {
        ArrowUp: () => step(-1, 0),
        ArrowDown: () => step(1, 0),
        ArrowLeft: () => step(0, -1),
        ArrowRight: () => step(0, 1),
        Home: () => step(0, 0, 0),
        End: () => step(0, 0, Infinity),
        Enter: act,
        " ": act,
        Escape: leave,
      });
    }

    const resized = new ResizeObserver(() => {
      if (root.clientWidth && Math.abs(root.clientWidth - view.width) >= 1) draw();
    });
    resized.observe(root);
    const marks = (name) => (detail) => {
      view[name] = detail;
      markAll();
    };
    const heard = { hover: marks("hover"), select: marks("selection"), letters: draw, theme: draw };
    component(root, props, watch, accept, heard, () => {
      resized.disconnect();
      for (const panel of view.panels.values()) window.Plotly?.purge(panel.gd);
    });
  }

  return { mount };
})();
