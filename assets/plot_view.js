/* The plot view: draws the JSON of a PanelSet (instructor_core/figures/panels.py) as a grid of Plotly figures with
   one scale bar, one tooltip, linked marks, and keys. See ui/components.py for the events that go back to Python. */
window.InstructorPlotView = window.InstructorPlotView || (() => {
  "use strict";

  const { el, isDark, onThemeChange, hover, select, itemsOf, tooltip, inkOn, colorAt, scaleBar, chip } = InstructorLinking;
  const { CONFIG, escape, unescape, number, matrixOf, cellLines, pointLines } = InstructorFigure;
  const THEME = window.InstructorTheme; // {light, dark, twins}, from the head of the page
  const SVG = "http://www.w3.org/2000/svg";
  const GAP = 20; // px between panels
  const TICK = 11; // px, font size of ticks; larger where the page is projected, see `letterScale`
  const WIDE_CELL = 110; // px, cells of a small matrix grow no further
  const LABEL_FROM = 300; // px of panel width from which rows are labelled with words, not with numbers alone
  const WORDS = 230; // px, words beside a row take no more
  const BAND = 18; // px beside a matrix for the strips and names of its groups
  const NARROW = 380; // px of a map below which its points carry numbers alone
  const SHAPES = { // of 12 x 12 px, for the legend
    square: "1,1 11,1 11,11 1,11",
    diamond: "6,0 12,6 6,12 0,6",
    "triangle-up": "6,1 12,11 0,11",
    "triangle-down": "0,1 12,1 6,11",
    cross: "4,0 8,0 8,4 12,4 12,8 8,8 8,12 4,12 4,8 0,8 0,4 4,4",
  };
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
  function read(figure, items) {
    const index = figure.data.findIndex((trace) => trace.meta?.kind === "matrix");
    const content = { kind: "plain", matrix: null, points: [], threeD: false };
    content.threeD = figure.data.some((trace) => /3d$|^surface$|^mesh3d$/.test(trace.type || ""));
    if (index >= 0) {
      content.kind = "matrix";
      content.matrix = { index, ...matrixOf(figure.data[index], items) };
    }
    figure.data.forEach((trace, number) => {
      if (trace.meta?.kind !== "points") return;
      content.kind = "points";
      (trace.customdata || []).forEach((item, at) => content.points.push({ item, trace: number, at }));
    });
    content.points.sort((a, b) => a.item - b.item);
    return content;
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

  /** Letters, and the room that figures leave for them, `factor` times as large, and as dark as letters can be. */
  function enlarge(layout, data, factor, ink) {
    if (factor === 1) return;
    const larger = (font, size) => ({ ...font, size: Math.round((font?.size || size) * factor) });
    const fonts = layout.template?.layout || {};
    layout.font = larger({ ...fonts.font, ...layout.font }, 12);
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      const axis = layout[name];
      axis.tickfont = { ...larger({ ...fonts.xaxis?.tickfont, ...axis.tickfont }, TICK), color: ink };
      if (axis.title?.text) axis.title.font = { ...larger({ ...fonts.xaxis?.title?.font, ...axis.title.font }, 12), color: ink };
    }
    if (layout.margin && !data.some((trace) => trace.meta?.kind === "matrix")) {
      for (const side of ["l", "b"]) if (layout.margin[side] > 20) layout.margin[side] *= factor;
    }
    for (const note of layout.annotations || []) note.font = larger(note.font, TICK);
    if (layout.legend || fonts.legend) layout.legend = { ...layout.legend, font: larger({ ...fonts.legend?.font, ...layout.legend?.font }, 12) };
    for (const trace of data) if (trace.textfont || trace.texttemplate) trace.textfont = larger(trace.textfont, TICK);
  }

  /** Buttons and sliders of an animation jump instead of moving, for those who asked for less motion. */
  function still(layout) {
    const halt = (step) => {
      const options = step.args?.[1];
      if (options && typeof options === "object") options.transition = { duration: 0 };
    };
    for (const menu of layout.updatemenus || []) (menu.buttons || []).forEach(halt);
    for (const slider of layout.sliders || []) {
      slider.transition = { duration: 0 };
      (slider.steps || []).forEach(halt);
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

  const tagRoom = ({ rows }, family) => Math.max(...range(rows.n).map((i) => textWidth(rows.number(i), family)), 0);
  const bandsOf = (layout, axis) => (layout.annotations || []).filter((note) => note.name?.startsWith(`block ${axis}`));

  /** Room for words beside the first of `n` matrices in a row that are to be of one size; 0 if rows get too low. */
  function wordsBeside(panels, n, total, look) {
    const matrix = panels[0]?.content.matrix;
    if (n < 2 || !matrix?.rows.linked) return 0;
    const { rows } = matrix;
    const tag = tagRoom(matrix, look.family);
    const label = (i) => textWidth(`${rows.name(i)}  ${rows.number(i)}`, look.family);
    const words = Math.min(Math.max(...range(rows.n).map(label)), WORDS * letterScale(), Math.max(total * 0.16, 120)) + 2;
    const plot = (total - (n - 1) * GAP - (words - tag)) / n - tag - 10 - BAND;
    return plot / rows.n < lineHeight() ? 0 : words;
  }

  /** The names of groups as far as they fit beside their rows or over their columns, `cell` px each. */
  function fitBlocks(layout, cell, family) {
    for (const note of layout.annotations || []) {
      const [, axis, start, end] = /^block ([xy]) (\d+) (\d+)$/.exec(note.name || "") || [];
      if (!axis) continue;
      const room = (end - start) * cell[axis === "x" ? 0 : 1] - 4;
      const words = fitText(unescape(note.hovertext), room, family);
      note.text = words.length < 6 && words.endsWith("…") ? "" : escape(words); // "The…" names nothing
    }
  }

  /** `words` is the room for words beside the rows; undefined for what the width allows. */
  function matrixLayout(layout, content, panel, width, look, words) {
    const { rows, columns } = content.matrix;
    const usual = (natural) => Math.min(natural, WORDS * letterScale(), width * 0.36) + 2;
    const wordsFit = !rows.linked || (words !== 0 && width >= LABEL_FROM);
    const tagWidth = tagRoom(content.matrix, look.family);
    const right = bandsOf(layout, "y").length ? BAND : 6;
    const [rowTexts, columnTexts] = [ownTicks(rows, layout.yaxis), ownTicks(columns, layout.xaxis)];
    const label = (i) => (rows.linked ? `${rows.name(i)}  ${rows.number(i)}` : (rowTexts.get(i) ?? ""));
    const natural = Math.max(...range(rows.n).map((i) => textWidth(label(i), look.family)), 0);
    const aspect = panel.aspect ?? rows.n / columns.n;
    const tallest = Math.min(clamp(window.innerHeight * 0.72, 320, 640), rows.n * WIDE_CELL * letterScale());
    const size = (left) => {
      let plotWidth = width - left - right;
      let plotHeight = plotWidth * aspect;
      if (plotHeight > tallest) {
        plotHeight = tallest;
        plotWidth = Math.min(plotWidth, tallest / aspect);
      }
      return [plotWidth, Math.max(plotHeight, Math.min(rows.n * 14, rows.linked ? 280 : 560))];
    };
    let room = wordsFit ? ((rows.linked && words) || usual(natural)) : 0;
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
    const top = bandsOf(layout, "x").length ? BAND : 4;
    const margin = { l: left + named(layout.yaxis), r: right, t: onTop ? deep : top, b: onTop ? 4 : deep, pad: 0 };
    fitBlocks(layout, cell, look.family);
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

  // ------------------------------------------------------------------------------------ one legend for all maps

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
      const entry = el("li");
      const swatch = document.createElementNS(SVG, "svg");
      const path = SHAPES[marker.symbol];
      const mark = document.createElementNS(SVG, path ? "polygon" : "circle");
      for (const [key, value] of Object.entries(path ? { points: path } : { cx: 6, cy: 6, r: 5 })) mark.setAttribute(key, value);
      mark.setAttribute("fill", marker.color);
      swatch.append(mark);
      entry.append(swatch, el("span", "", unescape(name)));
      entry.addEventListener("pointerenter", () => hover({ items: [...(customdata || [])], source: entry }));
      entry.addEventListener("pointerleave", () => hover({ items: [] }));
      legend.append(entry);
    }
    return legend;
  }

  // ------------------------------------------------------------------------------------ one mounted view

  function mount(element, props, watch, trigger, clickEvent, selectEvent) {
    const root = element.querySelector(".ic-plots");
    const view = { panels: new Map(), payload: null, bar: null, hover: null, selection: {}, width: 0 };
    const bar = el("div", "ic-plots-bar");
    const grid = el("div", "ic-grid");
    const empty = el("p", "ic-empty", root.dataset.empty);
    const alt = el("p", "ic-hidden");
    alt.id = `${element.id || props.label}-alt`.replace(/\W+/g, "-");
    const live = el("p", "ic-hidden");
    live.setAttribute("aria-live", "polite");
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", props.label || "Figures");
    root.replaceChildren(el("h2", "ic-hidden", props.label || "Figures"), bar, grid, empty, alt, live);

    const look = () => {
      const template = isDark() ? THEME.dark : THEME.light;
      const { font } = template.layout;
      return { template, family: font.family, ink: font.color };
    };

    // ---------------------------------------------------------------------------------- panels come and go

    function addPanel(key) {
      const node = el("section", "ic-panel");
      const head = el("header", "ic-panel-head");
      const box = el("div", "ic-figure");
      const gd = el("div", "ic-plot");
      const overlay = document.createElementNS(SVG, "svg");
      overlay.setAttribute("class", "ic-overlay");
      overlay.setAttribute("aria-hidden", "true");
      box.append(gd, overlay);
      node.append(head, box);
      const panel = { key, node, head, box, gd, overlay, cursor: null, wired: false };
      box.addEventListener("keydown", (event) => onKey(panel, event));
      box.addEventListener("focus", () => box.matches(":focus-visible") && moveCursor(panel, panel.cursor || { r: 0, c: 0, n: 0 }));
      box.addEventListener("blur", () => leave());
      box.addEventListener("pointermove", (event) => tooltip.move(event.clientX, event.clientY), { passive: true });
      box.addEventListener("pointerleave", () => leave());
      view.panels.set(key, panel);
      return panel;
    }

    function heading(panel) {
      const { title, subtitle, accent, chip: mark } = panel.data;
      const words = el("div", "ic-panel-words");
      panel.title = el("h3", "ic-panel-title", title);
      words.append(panel.title);
      if (subtitle) words.append(el("p", "ic-panel-subtitle", subtitle));
      const save = InstructorFigureFiles.menu(title, () => described(panel), (said) => (live.textContent = said));
      panel.head.replaceChildren(...(mark ? [chip(mark, accent)] : []), words, save);
    }

    /** Each title on one line: where it is too long, from the words on in which it differs from the others. */
    function fitTitles() {
      const panels = [...view.panels.values()];
      const all = panels.map(({ data }) => data.title.split(" "));
      const alike = (one, other) => {
        const most = Math.min(one.length, other.length) - 1;
        const apart = one.findIndex((word, i) => word !== other[i]);
        return apart < 0 ? most : Math.min(apart, most);
      };
      for (const { title: node, data } of panels) {
        const style = getComputedStyle(node);
        pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
        const room = node.parentNode.clientWidth;
        const fits = (text) => pen.measureText(text).width <= room;
        const words = data.title.split(" ");
        const shared = Math.max(0, ...all.map((other) => (other.join(" ") === data.title ? 0 : alike(words, other))));
        const starts = range(shared + 1).map((start) => (start ? `…${words.slice(start).join(" ")}` : data.title));
        let text = starts.find(fits) || starts[shared];
        if (!fits(text)) {
          const kept = text.split(" ");
          while (kept.length > 1 && !fits(`${kept.join(" ")}…`)) kept.pop();
          text = `${kept.join(" ").replace(/[\s,;:.\-]+$/, "")}…`;
        }
        node.textContent = text;
        if (text === data.title) node.removeAttribute("title");
        else node.title = data.title;
      }
    }

    function describe(panel) {
      const { content, box, data } = panel;
      const kinds = {
        matrix: () => `matrix of ${content.matrix.rows.n} rows and ${content.matrix.columns.n} columns. Arrow keys move, Enter selects`,
        points: () => `${content.points.length} points. Arrow keys move, Enter selects`,
        plain: () => data.subtitle || "figure",
      };
      const keys = content.kind !== "plain";
      // Not "img": the buttons over a figure are inside it, and would be lost with it.
      box.setAttribute("role", keys ? "application" : "figure");
      box.setAttribute("aria-label", `${data.title}: ${kinds[content.kind]()}`);
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
    const described = (panel) => ({
      gd: panel.gd,
      title: panel.data.title,
      subtitle: panel.data.subtitle,
      scale: view.payload.scale,
      items: view.payload.items,
      frames: panel.data.figure.frames || [],
      alt: view.payload.alt,
    });

    function prepare(panel) {
      const { figure } = panel.data;
      const { content } = panel;
      const twins = isDark() ? THEME.twins : {};
      const current = look();
      const data = figure.data.map((trace) => recolor(trace, twins, ""));
      const layout = recolor(structuredClone(figure.layout), twins, ""); // Plotly writes the zoom into it
      const width = panel.box.clientWidth;
      delete layout.title;
      Object.assign(layout, { template: recolor(current.template, twins, ""), autosize: false });
      layout.hovermode ??= "closest";
      layout.uirevision ??= `${content.kind} ${content.points.length} ${content.matrix?.rows.n} ${content.matrix?.columns.n}`;
      if (content.threeD) layout.scene = { camera: { eye: { x: 1.5, y: 1.5, z: 0.9 } }, ...layout.scene };
      else layout.dragmode = coarse() ? false : (layout.dragmode ?? "zoom");
      if (content.matrix) {
        const cell = matrixLayout(layout, content, panel.data, width, current, panel.words);
        const trace = data[content.matrix.index];
        const gap = Math.min(...cell) >= 9 ? 1 : 0;
        trace.xgap ??= gap;
        trace.ygap ??= gap;
        trace.showscale = false;
        // A digit takes some 7 px; a minus sign, a zero and the point are always there.
        const decimals = Number(/\.(\d)f/.exec(trace.texttemplate || "")?.[1] ?? 2);
        if (trace.texttemplate && (cell[0] < (14 + 7 * decimals) * letterScale() || cell[1] < 16 * letterScale())) delete trace.texttemplate;
      } else {
        const bare = layout.xaxis?.visible === false || layout.xaxis?.showticklabels === false;
        if (!layout.margin && (bare || content.threeD)) layout.margin = { l: 6, r: 6, t: 6, b: 6 };
        const height = panel.data.aspect ? clamp(width * panel.data.aspect, 180, 640) : layout.height || (content.threeD ? 420 : 340);
        Object.assign(layout, { width, height: Math.round(height) });
        if (view.legend && content.kind === "points") Object.assign(layout, { showlegend: false, meta: { legend: layout.showlegend } });
        const page = getComputedStyle(document.body).getPropertyValue("--ic-page").trim();
        const halo = [1, 2, 3, 3].map((blur) => `0 0 ${blur}px ${page}`).join(", ");
        for (const note of layout.annotations || []) if (note.name === "group") note.font = { ...note.font, color: current.ink, shadow: halo };
        if (content.kind === "points" && width < NARROW) {
          for (const trace of data) if (Array.isArray(trace.text)) trace.text = trace.text.map((words) => words.split(" ")[0]);
        }
      }
      if (content.threeD && content.points.length) {
        data.push({
          type: "scatter3d", mode: "markers", x: [], y: [], z: [], hoverinfo: "skip", showlegend: false, meta: MARK,
          marker: { symbol: "circle-open", size: 16, color: current.ink, line: { width: 3, color: current.ink } },
        });
      }
      enlarge(layout, data, letterScale(), current.ink);
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
      const n = columns();
      const panels = payload.panels.map(({ key }) => view.panels.get(key));
      const beside = wordsBeside(panels, n, root.clientWidth, look());
      const more = beside ? beside - tagRoom(panels[0].content.matrix, look().family) : 0;
      const first = Math.floor((root.clientWidth - (n - 1) * GAP - more) / n + more);
      const template = n > 1 && more ? `${first}px repeat(${n - 1}, minmax(0, 1fr))` : `repeat(${n}, minmax(0, 1fr))`;
      grid.style.gridTemplateColumns = template;
      panels.forEach((panel, place) => (panel.words = n > 1 ? (place % n ? 0 : beside) : undefined));
      fitTitles();
      view.bar = payload.scale ? scaleBar(payload.scale, THEME.twins) : null;
      view.legend = sharedLegend(panels);
      bar.replaceChildren(...(view.legend ? [legendOf(view.legend)] : []), ...(view.bar ? [view.bar] : []));
      bar.hidden = !view.bar && !view.legend;
      for (const panel of [...view.panels.values()]) {
        if (view.payload !== payload) return;
        await drawPanel(panel);
      }
    }

    function accept() {
      const payload = props.value ? JSON.parse(props.value) : null;
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
        panel.cursor = null;
        if (grid.children[place] !== panel.node) grid.insertBefore(panel.node, grid.children[place] || null);
        heading(panel);
        describe(panel);
      }
      draw();
    }

    // ---------------------------------------------------------------------------------- marks over the figures

    const shape = (overlay, tag, attributes, className) => {
      for (const layer of ["ic-halo", className]) {
        const node = document.createElementNS(SVG, tag);
        for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
        node.setAttribute("class", layer);
        overlay.append(node);
      }
    };

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
      const where = (side, item) => (item === null || item === undefined || !side.linked ? -1 : side.items.indexOf(item));
      const box = (r0, r1, c0, c1, className) => {
        const rect = cells(panel, r0, r1, c0, c1);
        if (rect) shape(panel.overlay, "rect", rect, className);
      };
      const line = (r, c) => {
        if (r >= 0) box(r, r, 0, cols.n - 1, "ic-line");
        if (c >= 0) box(0, rows.n - 1, c, c, "ic-line");
      };
      const { selection } = view;
      const [r, c] = [where(rows, selection.row), where(cols, selection.column)];
      if (r >= 0 && c >= 0) box(r, r, c, c, "ic-chosen");
      else if (selection.panel === panel.key && selection.r >= 0) box(selection.r, selection.r, selection.c, selection.c, "ic-chosen");
      for (const item of (selection.row ?? null) === null ? selection.items || [] : []) {
        if ((selection.items || []).length <= 3) line(where(rows, item), where(cols, item));
      }
      const now = view.hover;
      if (!now) return;
      const twin = now.cell && now.cell.shape === `${rows.n} ${cols.n}`;
      if (now.cell && now.root === root && (now.panel === panel.key || (twin && !(rows.linked && cols.linked)))) {
        line(now.cell.r, now.cell.c);
        box(now.cell.r, now.cell.r, now.cell.c, now.cell.c, "ic-at");
      } else if (now.row !== undefined || now.column !== undefined) {
        const [at, across] = [where(rows, now.row), where(cols, now.column)];
        line(at, across);
        if (at >= 0 && across >= 0) box(at, at, across, across, "ic-at");
      } else {
        for (const item of now.items) line(where(rows, item), where(cols, item));
      }
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
        if (typeof z === "number") label.style.fill = inkOn(colorAt(scale, {}, z));
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

    function itemLine([tag, text]) {
      const line = el("p", "ic-tip-item");
      if (tag) line.append(el("b", "", tag));
      line.append(el("span", "", text));
      return line;
    }

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
        const entry = el("span", other === panel ? "ic-here" : "");
        if (other.data.chip) entry.append(chip(other.data.chip, other.data.accent));
        else if (other.key.length <= 3) entry.append(el("span", "ic-tip-key", other.key));
        else if (other !== panel) continue;
        entry.append(el("b", "", other === panel ? here : number(twin.z[i][j])));
        values.append(entry);
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

    function overCell(panel, r, c, x, y, say) {
      const { rows, columns: cols, z } = panel.content.matrix;
      const detail = { items: [], source: panel.box, root, panel: panel.key, cell: { r, c, shape: `${rows.n} ${cols.n}` } };
      if (rows.linked) detail.row = rows.items[r];
      if (cols.linked) detail.column = cols.items[c];
      detail.items = itemsOf(detail);
      hover(detail);
      view.bar?.pin(z[r][c]);
      const tip = cellTip(panel, r, c);
      tooltip.show(tip, x, y);
      if (say) live.textContent = tip.map((node) => node.textContent).join(", ");
    }

    function overPoint(panel, point, x, y, say) {
      hover({ items: [point.item], source: panel.box, root, panel: panel.key });
      const tip = pointTip(panel, point);
      tooltip.show(tip, x, y);
      if (say) live.textContent = tip.map((node) => node.textContent).join(", ");
    }

    function leave() {
      tooltip.hide();
      view.bar?.pin(null);
      if (view.hover) hover({ items: [] });
    }

    function chooseCell(panel, r, c) {
      const { rows, columns: cols, z } = panel.content.matrix;
      const detail = { panel: panel.key, row: rows.items[r], column: cols.items[c], items: [], source: panel.box };
      if (rows.linked && cols.linked) select(detail);
      else {
        view.selection = { panel: panel.key, r, c };
        markAll();
      }
      trigger(clickEvent, { panel: panel.key, instruction: panel.data.instruction, kind: "matrix", row: rows.items[r], column: cols.items[c], value: z[r][c] });
    }

    function choosePoint(panel, point) {
      const before = itemsOf(view.selection)[0]; // as in the list: the former text is the other of the pair
      const items = before === undefined ? [point.item] : [point.item, before];
      if (point.item !== before) select({ panel: panel.key, items, source: panel.box });
      trigger(clickEvent, { panel: panel.key, instruction: panel.data.instruction, kind: "points", item: point.item });
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
        if (!hit) return;
        const { clientX: x, clientY: y } = event.event;
        if (hit.cell) overCell(panel, ...hit.cell, x, y, false);
        else if (hit.point) overPoint(panel, hit.point, x, y, false);
        else tooltip.show(hit.tip.split("\n").map((line) => el("p", "ic-tip-line", line)), x, y);
      });
      gd.on("plotly_unhover", leave);
      gd.on("plotly_click", (event) => {
        const hit = target(panel, event);
        if (hit?.cell) chooseCell(panel, ...hit.cell);
        else if (hit?.point) choosePoint(panel, hit.point);
      });
      const chosen = (event) => {
        const items = [...new Set((event?.points || []).map((hit) => target(panel, { points: [hit] })?.point?.item))];
        const known = items.filter((item) => item !== undefined).sort((a, b) => a - b);
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

    function onScreen(panel, at) {
      const rect = panel.box.getBoundingClientRect();
      return [rect.left + at[0], rect.top + at[1]];
    }

    function moveCursor(panel, cursor) {
      panel.cursor = cursor;
      const { content } = panel;
      if (content.matrix) {
        const rect = cells(panel, cursor.r, cursor.r, cursor.c, cursor.c);
        const at = rect ? [rect.x + rect.width, rect.y + rect.height / 2] : [20, 20];
        overCell(panel, cursor.r, cursor.c, ...onScreen(panel, at), true);
      } else if (content.points.length) {
        const point = content.points[cursor.n];
        const ring = content.threeD ? null : place(panel, point);
        overPoint(panel, point, ...onScreen(panel, ring ? [ring.cx, ring.cy] : [20, 20]), true);
      }
    }

    function onKey(panel, event) {
      const { content } = panel;
      const { matrix, points } = content;
      const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      const cursor = panel.cursor || { r: 0, c: 0, n: 0 };
      const ends = { Home: 0, End: 1 };
      if (event.key in steps || event.key in ends) {
        const [down, right] = steps[event.key] || [0, 0];
        const last = matrix ? matrix.columns.n - 1 : points.length - 1;
        const jump = event.key in ends ? ends[event.key] * last : null;
        if (matrix) {
          const r = clamp(cursor.r + down, 0, matrix.rows.n - 1);
          moveCursor(panel, { r, c: jump ?? clamp(cursor.c + right, 0, last), n: 0 });
        } else if (points.length) moveCursor(panel, { r: 0, c: 0, n: jump ?? clamp(cursor.n + down + right, 0, last) });
        else return;
      } else if (event.key === "Enter" || event.key === " ") {
        if (matrix) chooseCell(panel, cursor.r, cursor.c);
        else if (points.length) choosePoint(panel, points[cursor.n]);
      } else if (event.key === "Escape") leave();
      else return;
      event.preventDefault();
    }

    // ---------------------------------------------------------------------------------- the world outside

    const alive = new AbortController();
    const listen = (name, callback) =>
      document.addEventListener(name, (event) => (root.isConnected ? callback(event.detail) : dispose()), { signal: alive.signal });
    listen("instructor:hover", (detail) => {
      view.hover = itemsOf(detail).length || detail.cell ? detail : null;
      markAll();
    });
    listen("instructor:select", (detail) => {
      view.selection = detail;
      markAll();
    });
    listen("instructor:letters", () => draw());
    const resized = new ResizeObserver(() => {
      if (root.clientWidth && Math.abs(root.clientWidth - view.width) >= 1) draw();
    });
    resized.observe(root);
    const themed = onThemeChange(draw);

    function dispose() {
      alive.abort();
      resized.disconnect();
      themed.disconnect();
      for (const panel of view.panels.values()) Plotly.purge(panel.gd);
    }

    watch("value", accept);
    accept();
  }

  return { mount };
})();
