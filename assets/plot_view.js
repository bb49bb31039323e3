/* The plot view: draws the JSON of a PanelSet (instructor_core/figures/panels.py) as a grid of Plotly figures with
   one scale bar, one tooltip, linked marks, and keys. See ui/components.py for the events that go back to Python. */
window.InstructorPlotView = window.InstructorPlotView || (() => {
  "use strict";

  const { el, onKeys, hover, select, component, isDark, given, itemsOf, tooltip } = InstructorLinking;
  const { THEME, inkOn, colorAt, scaleBar, chip } = InstructorLinking;
  const { CONFIG, escape, unescape, number, matrixOf, cellLines, pointLines } = InstructorFigure;
  const SVG = "http://www.w3.org/2000/svg";
  const GAP = 20; // px between panels
  const TICK = 11; // px, font size of ticks; larger where the page is projected, see `letterScale`
  const WIDE_CELL = 56; // px, cells of a small matrix grow no further
  const LABEL_FROM = 440; // px of panel width from which rows are labelled with words, not with numbers alone
  const MARK = { kind: "mark" }; // meta of the trace that rings points in 3-D
  const TEXT_KEYS = new Set(["x", "y", "z", "text", "hovertext", "customdata", "ids", "meta", "ticktext", "name"]);

  const range = (n) => Array.from({ length: n }, (_, i) => i);
  const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
  /** How much larger letters are than on a page read from near: 1, or what the presenter view sets. */
  const letterScale = () => Number(getComputedStyle(document.body).getPropertyValue("--ic-figure-scale")) || 1;
  const tickSize = () => Math.round(TICK * letterScale());
  const lineHeight = () => tickSize() + 1; // px that a tick label needs
  const reducedMotion = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const coarse = () => window.matchMedia("(pointer: coarse)").matches;

  // ------------------------------------------------------------------------------------ text that fits

  const pen = document.createElement("canvas").getContext("2d");

  function textWidth(text, family) {
    pen.font = `${tickSize()}px ${family}`;
    return pen.measureText(text).width;
  }

  /** `text` on one line, at most `room` px wide, cut at a word where possible and ended by an ellipsis. */
  function fitText(text, room, family) {
    const line = text.replace(/\s+/g, " ").trim();
    if (textWidth(line, family) <= room) return line;
    let low = 0;
    let high = line.length;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (textWidth(`${line.slice(0, middle)}…`, family) <= room) low = middle;
      else high = middle - 1;
    }
    const word = line.lastIndexOf(" ", low);
    const end = line[low] === " " || word < low / 2 ? low : word;
    return `${line.slice(0, end).replace(/[\s,;:.\-]+$/, "")}…`;
  }

  // ------------------------------------------------------------------------------------ reading a figure

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

  /** A copy of a figure part with the colours of the dark page where there are such; data is shared, not copied. */
  function recolor(value, twins, key) {
    if (TEXT_KEYS.has(key)) return value;
    if (typeof value === "string") return twins[value] || value;
    if (Array.isArray(value)) {
      return value.every((item) => typeof item === "number") ? value : value.map((item) => recolor(item, twins, ""));
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, recolor(item, twins, name)]));
    }
    return value;
  }

  /** Letters `factor` times as large, and none of them as faint as on a page read from near. */
  function enlarge(part, factor, faint, ink) {
    for (const [name, value] of Object.entries(part)) {
      if (!value || typeof value !== "object" || TEXT_KEYS.has(name)) continue;
      if (name.endsWith("font") && value.size) value.size = Math.round(value.size * factor);
      if (name.endsWith("font") && value.color === faint) value.color = ink;
      enlarge(value, factor, faint, ink);
    }
  }

  /** The slider of an animation jumps instead of moving, for those who asked for less motion. */
  function still({ sliders = [] }) {
    for (const slider of sliders) {
      slider.transition = { duration: 0 };
      for (const { args } of slider.steps) args[1].transition = { duration: 0 };
    }
  }

  // ------------------------------------------------------------------------------------ layout of a panel

  /** Every `stride`-th position, with round numbers on screen: 5, 10, 15, ... */
  function thinned(n, stride) {
    const step = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000].find((size) => size >= stride) || stride;
    return range(n).filter((i) => (i + 1) % step === 0);
  }

  /** The labels that the figure gives to a side that is no texts: position -> words, as many as it chose. */
  function ownTicks(side, axis) {
    const own = side.linked ? [] : (axis?.tickvals || []).map((at, i) => [at, unescape(String(axis.ticktext?.[i] ?? at))]);
    return new Map(own.length ? own : range(side.n).map((i) => [i, side.number(i) || side.name(i)]));
  }

  /** Tick positions and words of one side of a matrix whose cells are `cell` px, in at most `room` px of words. */
  function rowTicks(side, own, cell, room, family, ink) {
    const stride = Math.max(1, Math.ceil(lineHeight() / cell));
    if (!side.linked) {
      const shown = [...own.keys()].filter((_, at) => at % Math.max(1, Math.ceil((stride * own.size) / side.n)) === 0);
      return { tickvals: shown, ticktext: shown.map((i) => escape(fitText(own.get(i), room, family))) };
    }
    const shown = thinned(side.n, stride);
    const text = shown.map((i) => {
      const tag = side.number(i);
      if (stride > 1 || !room) return tag;
      const rest = escape(fitText(side.name(i), room - textWidth(`${tag}  `, family), family));
      return `${rest}  <span style="color:${ink}">${tag}</span>`;
    });
    return { tickvals: shown, ticktext: text };
  }

  function columnTicks(side, own, cell, family) {
    const widest = Math.max(0, ...[...own.values()].map((word) => textWidth(word, family)));
    const apart = (cell * side.n) / own.size; // px from one label to the next
    const upright = side.linked || widest <= Math.max(apart - 4, 24);
    const stride = Math.max(1, Math.ceil((upright ? widest + 6 : lineHeight()) / apart));
    const shown = side.linked ? thinned(side.n, stride) : [...own.keys()].filter((_, at) => at % stride === 0);
    const text = shown.map((i) => escape(upright ? own.get(i) : fitText(own.get(i), 90 * letterScale(), family)));
    const height = upright ? lineHeight() : Math.min(90 * letterScale(), widest);
    return { ticks: { tickvals: shown, ticktext: text, tickangle: upright ? 0 : -90 }, height };
  }

  function matrixLayout(layout, content, panel, width, look) {
    const { rows, columns } = content.matrix;
    const wordsFit = width >= LABEL_FROM || !rows.linked;
    const tagWidth = Math.max(...range(rows.n).map((i) => textWidth(rows.number(i), look.family)), 0);
    const [rowTexts, columnTexts] = [ownTicks(rows, layout.yaxis), ownTicks(columns, layout.xaxis)];
    const label = (i) => (rows.linked ? `${rows.name(i)}  ${rows.number(i)}` : (rowTexts.get(i) ?? ""));
    const natural = Math.max(...range(rows.n).map((i) => textWidth(label(i), look.family)), 0);
    const aspect = panel.aspect ?? rows.n / columns.n;
    const tallest = Math.min(clamp(window.innerHeight * 0.72, 320, 640), rows.n * WIDE_CELL * letterScale());
    const size = (left) => {
      let plotWidth = width - left - 6;
      let plotHeight = plotWidth * aspect;
      if (plotHeight > tallest) {
        plotHeight = tallest;
        plotWidth = Math.min(plotWidth, tallest / aspect);
      }
      return [plotWidth, Math.max(plotHeight, Math.min(rows.n * 14, rows.linked ? 280 : 560))];
    };
    let room = wordsFit ? Math.min(natural, 230 * letterScale(), width * 0.36) + 2 : 0;
    let left = (room || tagWidth) + 10;
    let [plotWidth, plotHeight] = size(left);
    if (plotHeight / rows.n < lineHeight() && rows.linked) {
      room = 0;
      left = tagWidth + 10;
      [plotWidth, plotHeight] = size(left);
    }
    const share = (axis) => (axis?.domain ? axis.domain[1] - axis.domain[0] : 1); // the rest holds the totals
    const cell = [(plotWidth * share(layout.xaxis)) / columns.n, (plotHeight * share(layout.yaxis)) / rows.n];
    const bottom = columnTicks(columns, columnTexts, cell[0], look.family);
    const named = (axis) => (axis?.title?.text ? 18 * letterScale() : 0);
    const onTop = layout.xaxis?.side === "top";
    const deep = bottom.height + 8 + named(layout.xaxis);
    const margin = { l: left + named(layout.yaxis), r: 6, t: onTop ? deep : 4, b: onTop ? 4 : deep, pad: 0 };
    const quiet = { showgrid: false, zeroline: false, showline: false, ticks: "", automargin: false, tickmode: "array", ticklabelstandoff: 3 };
    layout.xaxis = { range: [-0.5, columns.n - 0.5], ...layout.xaxis, ...quiet, ...bottom.ticks };
    layout.yaxis = {
      range: [rows.n - 0.5, -0.5],
      ...layout.yaxis,
      ...quiet,
      ...rowTicks(rows, rowTexts, cell[1], room, look.family, look.ink),
    };
    delete layout.yaxis.scaleanchor;
    layout.margin = margin;
    layout.width = Math.round(plotWidth + margin.l + margin.r);
    layout.height = Math.round(plotHeight + margin.t + margin.b);
    return cell;
  }

  // ------------------------------------------------------------------------------------ one mounted view

  function mount(element, props, watch, trigger, clickEvent, selectEvent) {
    const root = element.querySelector(".ic-plots");
    const name = props.label || "Figures";
    const view = { panels: new Map(), payload: null, bar: null, hover: null, selection: {}, width: 0 };
    const bar = el("div", "ic-plots-bar");
    const grid = el("div", "ic-grid");
    const empty = el("p", "ic-empty", root.dataset.empty);
    const alt = el("p", { class: "ic-hidden", id: `${element.id || props.label}-alt`.replace(/\W+/g, "-") });
    const live = el("p", { class: "ic-hidden", "aria-live": "polite" });
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", name);
    root.replaceChildren(el("h2", "ic-hidden", name), bar, grid, empty, alt, live);

    // ---------------------------------------------------------------------------------- panels come and go

    function addPanel(key) {
      const head = el("header", "ic-panel-head");
      const gd = el("div", "ic-plot");
      const overlay = document.createElementNS(SVG, "svg");
      overlay.setAttribute("class", "ic-overlay");
      overlay.setAttribute("aria-hidden", "true");
      const box = el("div", "ic-figure", gd, overlay);
      const panel = { key, node: el("section", "ic-panel", head, box), head, box, gd, overlay, cursor: [0, 0], wired: false };
      walk(panel);
      box.addEventListener("focus", () => box.matches(":focus-visible") && tellCursor(panel));
      box.addEventListener("blur", leave);
      box.addEventListener("pointermove", (event) => tooltip.move(event.clientX, event.clientY), { passive: true });
      box.addEventListener("pointerleave", leave);
      view.panels.set(key, panel);
      return panel;
    }

    function heading(panel) {
      const { title, subtitle, accent, chip: mark } = panel.data;
      const line = subtitle ? el("p", "ic-panel-subtitle", subtitle) : null;
      const words = el("div", "ic-panel-words", el("h3", "ic-panel-title", title), line);
      const save = InstructorFigureFiles.menu(title, () => described(panel), (said) => (live.textContent = said));
      panel.head.replaceChildren(...(mark ? [chip(mark, accent)] : []), words, save);
      panel.node.dataset.chip = mark ?? "";
    }

    function describe(panel) {
      const { content, box, data } = panel;
      const { kind, matrix, points } = content;
      const size = kind === "matrix" ? `matrix of ${matrix.rows.n} rows and ${matrix.columns.n} columns` : `${points.length} points`;
      const keys = kind !== "plain";
      // Not "img": the buttons over a figure are inside it, and would be lost with it.
      box.setAttribute("role", keys ? "application" : "figure");
      box.setAttribute("aria-label", `${data.title}: ${keys ? `${size}. Arrow keys move, Enter selects` : data.subtitle || "figure"}`);
      box.setAttribute("aria-describedby", alt.id);
      if (keys) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }

    // ---------------------------------------------------------------------------------- drawing

    function buttons(panel) {
      if (panel.content.threeD) return [["orbitRotation", "pan3d", "resetCameraDefault3d"]];
      if (panel.content.kind === "points") return [["zoom2d", "pan2d", "select2d", "lasso2d", "resetScale2d"]];
      return [["zoom2d", "pan2d", "resetScale2d"]];
    }

    /** What a saved file shows besides the figure itself. */
    const described = (panel) => ({ ...view.payload, ...panel.data, gd: panel.gd, frames: panel.data.figure.frames || [] });

    function prepare(panel) {
      const { figure } = panel.data;
      const { content } = panel;
      const twins = isDark() ? THEME.twins : {};
      const template = recolor(isDark() ? THEME.dark : THEME.light, twins, "");
      const { color: ink, family } = template.layout.font;
      const factor = letterScale();
      const data = figure.data.map((trace) => recolor(trace, twins, ""));
      const layout = recolor(structuredClone(figure.layout), twins, ""); // Plotly writes the zoom into it
      const width = panel.box.clientWidth;
      delete layout.title;
      Object.assign(layout, { template, autosize: false });
      layout.hovermode ??= "closest";
      layout.uirevision ??= `${content.kind} ${content.points.length} ${content.matrix?.rows.n} ${content.matrix?.columns.n}`;
      if (content.threeD) layout.scene = { camera: { eye: { x: 1.5, y: 1.5, z: 0.9 } }, ...layout.scene };
      else layout.dragmode = coarse() ? false : (layout.dragmode ?? "zoom");
      if (content.matrix) {
        const cell = matrixLayout(layout, content, panel.data, width, { family, ink });
        const trace = data[content.matrix.index];
        const gap = Math.min(...cell) >= 9 ? 1 : 0;
        trace.xgap ??= gap;
        trace.ygap ??= gap;
        trace.showscale = false;
        // A digit takes some 7 px; a minus sign, a zero and the point are always there.
        const decimals = Number(/\.(\d)f/.exec(trace.texttemplate || "")?.[1] ?? 2);
        if (cell[0] < (16 + 8 * decimals) * factor || cell[1] < 16 * factor) delete trace.texttemplate;
      } else {
        const bare = layout.xaxis?.visible === false || layout.xaxis?.showticklabels === false;
        if (!layout.margin && (bare || content.threeD)) layout.margin = { l: 6, r: 6, t: 6, b: 6 };
        for (const side of ["l", "b"]) if (factor > 1 && layout.margin?.[side] > 20) layout.margin[side] *= factor;
        const own = layout.height || (content.threeD ? 420 : 340);
        const height = panel.data.aspect ? clamp(width * panel.data.aspect, 180, 640) : own;
        Object.assign(layout, { width, height: Math.round(height) });
      }
      if (content.threeD && content.points.length) {
        data.push({
          type: "scatter3d", mode: "markers", x: [], y: [], z: [], hoverinfo: "skip", showlegend: false, meta: MARK,
          marker: { symbol: "circle-open", size: 16, color: ink, line: { width: 3, color: ink } },
        });
      }
      if (factor > 1) enlarge({ layout, data }, factor, template.layout.xaxis.tickfont.color, ink);
      if (reducedMotion()) still(layout);
      return { data, layout, frames: figure.frames || [] };
    }

    /** Made once per panel: Plotly draws from scratch, and forgets the zoom, when a function in it is a new one. */
    const configure = (panel) => ({
      ...CONFIG,
      displayModeBar: coarse() ? false : "hover",
      modeBarButtons: buttons(panel),
      doubleClick: "reset",
      showTips: false,
      responsive: false,
    });

    async function drawPanel(panel) {
      if (!panel.box.clientWidth) {
        view.width = 0; // hidden while the others were drawn
        return;
      }
      const kind = `${panel.content.kind} ${panel.content.threeD}`;
      if (panel.kind !== kind) Object.assign(panel, { kind, config: configure(panel) });
      await Plotly.react(panel.gd, { ...prepare(panel), config: panel.config });
      if (!panel.wired) wire(panel);
      panel.marked3d = "";
      inkCells(panel);
      mark(panel);
    }

    /** Equal rows where possible: four panels where three would fit become two and two. */
    function columns() {
      const fit = Math.max(1, Math.floor((root.clientWidth + GAP) / (view.payload.min_width + GAP)));
      const lines = Math.ceil(view.payload.panels.length / fit);
      return Math.ceil(view.payload.panels.length / lines) || 1;
    }

    async function draw() {
      const { payload } = view;
      empty.hidden = Boolean(payload);
      bar.hidden = grid.hidden = !payload;
      view.width = root.clientWidth; // 0 in a tab that is not in front: the ResizeObserver calls again
      if (!payload || !view.width) return;
      grid.style.gridTemplateColumns = `repeat(${columns()}, minmax(0, 1fr))`;
      view.bar = payload.scale ? scaleBar(payload.scale) : null;
      bar.replaceChildren(...(view.bar ? [view.bar] : []));
      bar.hidden = !view.bar;
      for (const panel of [...view.panels.values()]) {
        if (view.payload !== payload) return;
        await drawPanel(panel);
      }
    }

    function accept(payload) {
      const keys = new Set((payload?.panels || []).map((panel) => panel.key));
      for (const [key, panel] of view.panels) {
        if (keys.has(key)) continue;
        Plotly.purge(panel.gd);
        panel.node.remove();
        view.panels.delete(key);
      }
      const sameItems = payload && view.payload && payload.items.join("\n") === view.payload.items.join("\n");
      view.payload = payload;
      view.hover = null;
      tooltip.hide();
      if (payload?.selected) view.selection = payload.selected;
      else if (!sameItems) view.selection = {};
      alt.textContent = payload?.alt || "";
      for (const [place, data] of (payload?.panels || []).entries()) {
        const panel = view.panels.get(data.key) || addPanel(data.key);
        panel.data = data;
        panel.content = read(data.figure, payload.items);
        panel.cursor = [0, 0];
        if (grid.children[place] !== panel.node) grid.insertBefore(panel.node, grid.children[place] || null);
        heading(panel);
        describe(panel);
      }
      draw();
    }

    // ---------------------------------------------------------------------------------- marks over the figures

    function shape(overlay, tag, attributes, className) {
      for (const layer of ["ic-halo", className]) {
        const node = document.createElementNS(SVG, tag);
        for (const [name, value] of Object.entries({ ...attributes, class: layer })) node.setAttribute(name, value);
        overlay.append(node);
      }
    }

    const axes = (panel, trace) => {
      const full = panel.gd._fullLayout;
      const name = (id, letter) => `${letter}axis${(id || letter).slice(1)}`;
      return [full[name(trace?.xaxis, "x")], full[name(trace?.yaxis, "y")]];
    };

    /** The rectangle of cells in the overlay's pixels, cut to the plotted area; null if zoomed out of sight. */
    function cells(panel, r0, r1, c0, c1) {
      const [x, y] = axes(panel, panel.content.matrix && panel.gd._fullData[panel.content.matrix.index]);
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
        const rect = cells(panel, r0, r1, c0, c1);
        if (rect) shape(panel.overlay, "rect", rect, className);
      };
      const line = (r, c) => {
        if (r >= 0) box(r, r, 0, cols.n - 1, "ic-line");
        if (c >= 0) box(0, rows.n - 1, c, c, "ic-line");
      };
      const lines = (items) => items.forEach((item) => line(where(rows, item), where(cols, item)));
      /** The cell that is meant, by its place or by its texts; null where no cell is. */
      const meant = ({ cell, row, column, panel: key, root: from }) => {
        const twin = cell && cell.shape === `${rows.n} ${cols.n}` && !(rows.linked && cols.linked);
        if (cell && from === root && (key === panel.key || twin)) return [cell.r, cell.c];
        return given(row) || given(column) ? [where(rows, row), where(cols, column)] : null;
      };
      const { selection, hover: now } = view;
      const chosen = meant(selection);
      if (chosen && Math.min(...chosen) >= 0) box(chosen[0], chosen[0], chosen[1], chosen[1], "ic-chosen");
      if (!given(selection.row) && selection.items?.length <= 3) lines(selection.items);
      const at = now && meant(now);
      if (at) line(...at);
      if (at && Math.min(...at) >= 0) box(at[0], at[0], at[1], at[1], "ic-at");
      if (now && !at) lines(now.items);
    }

    function place(panel, point) {
      const trace = panel.gd._fullData[point.trace];
      if (!trace || trace.visible !== true) return null;
      const [x, y] = axes(panel, trace);
      const source = panel.data.figure.data[point.trace];
      const at = [x._offset + x.d2p(source.x[point.at]), y._offset + y.d2p(source.y[point.at])];
      const inside = at[0] >= x._offset && at[0] <= x._offset + x._length && at[1] >= y._offset && at[1] <= y._offset + y._length;
      const size = Array.isArray(trace.marker?.size) ? trace.marker.size[point.at] : trace.marker?.size;
      return inside ? { cx: at[0], cy: at[1], r: (size || 8) / 2 + 2.5 } : null;
    }

    function markPoints(panel) {
      const chosen = new Set(itemsOf(view.selection));
      const near = new Set(view.hover ? itemsOf(view.hover) : []);
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
        if (ring) shape(panel.overlay, "circle", ring, near.has(point.item) ? "ic-at" : "ic-chosen");
      }
    }

    function mark(panel) {
      panel.overlay.replaceChildren();
      const full = panel.gd._fullLayout;
      if (!full) return;
      panel.overlay.setAttribute("width", full.width);
      panel.overlay.setAttribute("height", full.height);
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

    let waiting = false;
    function markAll() {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        for (const panel of view.panels.values()) mark(panel);
      });
    }

    // ---------------------------------------------------------------------------------- what is under the pointer

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
        const mark = other.data.chip ? chip(other.data.chip, other.data.accent) : null;
        if (!mark && other.key.length > 3 && other !== panel) continue;
        const key = mark || other.key.length > 3 ? mark : el("span", "ic-tip-key", other.key);
        const told = el("b", "", other === panel ? here : number(twin.z[i][j]));
        values.append(el("span", other === panel ? "ic-here" : "", key, told));
      }
      return [el("p", "ic-tip-name", value), values, ...texts.map(itemLine)];
    }

    function pointTip(panel, point) {
      const [text, ...notes] = pointLines(panel.data.figure.data[point.trace], view.payload.items, point.at);
      return [itemLine(text), ...notes.map(([, words]) => el("p", "ic-tip-note", words))];
    }

    /** Marks and tells what is at a place of the screen: {cell: [r, c]}, {point} or {tip: text}. */
    function over(panel, { cell, point, tip }, x, y, say = false) {
      const detail = { items: [], source: panel.box, root, panel: panel.key };
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
      if (view.hover) hover({ items: [] });
    }

    function choose(panel, { cell, point }) {
      const { matrix } = panel.content;
      const told = { panel: panel.key, instruction: panel.data.instruction };
      if (cell) {
        const [r, c] = cell;
        const { rows, columns: cols, z } = matrix;
        const [row, column] = [rows.items[r], cols.items[c]];
        if (rows.linked && cols.linked) select({ panel: panel.key, row, column, items: [], source: panel.box });
        else {
          view.selection = { panel: panel.key, root, cell: { r, c } };
          markAll();
        }
        trigger(clickEvent, { ...told, kind: "matrix", row, column, value: z[r][c] });
      } else if (point) {
        const before = itemsOf(view.selection)[0]; // as in the list: the former text is the other of the pair
        const items = before === undefined ? [point.item] : [point.item, before];
        if (point.item !== before) select({ panel: panel.key, items, source: panel.box });
        trigger(clickEvent, { ...told, kind: "points", item: point.item });
      }
    }

    /** What a Plotly event points at: {cell: [r, c]}, {point}, {tip: text}, or null. */
    function target(panel, event) {
      const hit = event.points?.[0];
      if (!hit) return null;
      const kind = panel.data.figure.data[hit.curveNumber]?.meta?.kind;
      if (kind === "matrix") return { cell: hit.pointNumber ?? [Math.round(hit.y), Math.round(hit.x)] };
      if (kind === "points") return { point: { item: hit.customdata, trace: hit.curveNumber, at: hit.pointNumber } };
      const { customdata } = panel.data.figure.data[hit.curveNumber] || {};
      const text = Array.isArray(customdata) ? (hit.customdata ?? customdata[hit.pointNumber]) : undefined;
      return typeof text === "string" ? { tip: text } : null;
    }

    function wire(panel) {
      panel.wired = true;
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
      const chosen = (event) => {
        const hits = (event?.points || []).map((hit) => target(panel, { points: [hit] })?.point?.item);
        const known = [...new Set(hits.filter(given))].sort((a, b) => a - b);
        select({ panel: panel.key, items: known, source: panel.box });
        trigger(selectEvent, { panel: panel.key, items: known });
      };
      gd.on("plotly_selected", (event) => event && chosen(event));
      gd.on("plotly_deselect", () => chosen(null));
      gd.on("plotly_afterplot", () => inkCells(panel));
      for (const name of ["plotly_relayout", "plotly_relayouting", "plotly_restyle", "plotly_afterplot"]) {
        gd.on(name, () => panel.content.threeD || markAll());
      }
    }

    // ---------------------------------------------------------------------------------- keys

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

    // ---------------------------------------------------------------------------------- the world outside

    const resized = new ResizeObserver(() => {
      if (root.clientWidth && Math.abs(root.clientWidth - view.width) >= 1) draw();
    });
    resized.observe(root);
    const follow = {
      hover: (detail) => {
        view.hover = itemsOf(detail).length || detail.cell ? detail : null;
        markAll();
      },
      select: (detail) => {
        view.selection = detail;
        markAll();
      },
      letters: draw,
      theme: draw,
    };
    component(root, props, watch, accept, follow, () => {
      resized.disconnect();
      for (const panel of view.panels.values()) Plotly.purge(panel.gd);
    });
  }

  return { mount };
})();
