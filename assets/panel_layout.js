/* How a figure takes the room of its panel: text that fits, ticks, the size of a matrix, the colours of the dark page, and
   larger letters where the page is projected. */
window.InstructorPanelLayout = window.InstructorPanelLayout || (() => {
  "use strict";

  const { THEME, lessMotion } = InstructorLinking;
  const { escape, unescape } = InstructorFigure;
  const TICK = 11; // px, font size of ticks; larger where the page is projected, see `letterScale`
  const WIDE_CELL = 110; // px, cells of a small matrix grow no further
  const LABEL_FROM = 300; // px of panel width from which rows are labelled with words, not with numbers alone
  const WORDS = 230; // px, words beside a row take no more
  const BAND = 18; // px beside a matrix for the strips and names of its groups
  const GAP = 20; // px between panels
  const EDGE = 28; // px that stay free under a figure before an audience
  const LEAST = 200; // px, no figure is lower there
  const QUIET = {
    ...{ showgrid: false, zeroline: false, showline: false, ticks: "", automargin: false },
    ...{ tickmode: "array", ticklabelstandoff: 3 },
  };
  const TEXT_KEYS = new Set(["x", "y", "z", "text", "hovertext", "customdata", "ids", "meta", "ticktext", "name"]);

  const range = (n) => Array.from({ length: n }, (_, i) => i);
  const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
  /** How much larger letters are than on a page read from near: 1, or what the presenter view sets. */
  const letterScale = () => Number(getComputedStyle(document.body).getPropertyValue("--ic-figure-scale")) || 1;
  const tickSize = () => Math.round(TICK * letterScale());
  const lineHeight = () => tickSize() + 1; // px that a tick label needs
  const pen = document.createElement("canvas").getContext("2d");

  function textWidth(text, font = `${tickSize()}px ${THEME.light.layout.font.family}`) {
    pen.font = font;
    return pen.measureText(text).width;
  }

  /** `text` on one line, at most `room` px wide, cut at a word where possible and ended by an ellipsis. */
  function fitText(text, room, font) {
    const line = text.replace(/\s+/g, " ").trim();
    if (textWidth(line, font) <= room) return line;
    let [low, high] = [0, line.length];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (textWidth(`${line.slice(0, middle)}…`, font) <= room) low = middle;
      else high = middle - 1;
    }
    const word = line.lastIndexOf(" ", low);
    const end = line[low] === " " || word < low / 2 ? low : word;
    return `${line.slice(0, end).replace(/[\s,;:.\-]+$/, "")}…`;
  }

  /** A copy of a figure part as this page draws it; data is shared, not copied. On the dark page it has other colours,
   * before an audience larger letters and marks, and no letter is faint; for who asked for less motion nothing moves. */
  function dressed(value, page, key = "") {
    if (TEXT_KEYS.has(key)) return value;
    if (typeof value === "string") return page.twins[value] || value;
    if (!value || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.every(Number.isFinite) ? value : value.map((item) => dressed(item, page));
    if (key === "transition" && lessMotion()) return { duration: 0 };
    const copy = Object.fromEntries(Object.entries(value).map(([name, item]) => [name, dressed(item, page, name)]));
    if (page.factor === 1) return copy;
    if (/font$|^marker$/.test(key) && copy.size > 0) copy.size = Math.round(copy.size * page.factor);
    if (key.endsWith("font") && copy.color === page.faint) copy.color = page.ink;
    return copy;
  }

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

  /** Positions that get a label where labels are `apart` px and need `needed`: round numbers, or every so many names. */
  function labelled(side, own, apart, needed) {
    const stride = Math.max(1, Math.ceil(needed / apart));
    return side.linked ? thinned(side.n, stride) : [...own.keys()].filter((_, at) => at % stride === 0);
  }

  /** Tick positions and words of the rows of a matrix whose cells are `cell` px, in at most `room` px of words. */
  function rowTicks(side, own, cell, room, ink) {
    const places = labelled(side, own, (cell * side.n) / own.size, lineHeight());
    const text = places.map((i) => {
      const tag = side.number(i);
      if (!side.linked) return escape(fitText(own.get(i), room));
      if (lineHeight() > cell || !room) return tag;
      return `${escape(fitText(side.name(i), room - textWidth(`${tag}  `)))}  <span style="color:${ink}">${tag}</span>`;
    });
    return { tickvals: places, ticktext: text };
  }

  function columnTicks(side, own, cell) {
    const widest = Math.max(0, ...[...own.values()].map(textWidth));
    const apart = (cell * side.n) / own.size;
    const upright = side.linked || widest <= Math.max(apart - 4, 24);
    const places = labelled(side, own, apart, upright ? widest + 6 : lineHeight());
    const text = places.map((i) => escape(upright ? own.get(i) : fitText(own.get(i), 90 * letterScale())));
    const height = upright ? lineHeight() : Math.min(90 * letterScale(), widest);
    return { ticks: { tickvals: places, ticktext: text, tickangle: upright ? 0 : -90 }, height };
  }

  const tagRoom = ({ rows }) => Math.max(...range(rows.n).map((i) => textWidth(rows.number(i))), 0);
  const bandsOf = (layout, axis) => (layout.annotations || []).filter((note) => note.name?.startsWith(`block ${axis}`));

  /** Room for words beside the first of `n` matrices in a row that are to be of one size; 0 if rows get too low. */
  function wordsBeside(panels, n, total) {
    const matrix = panels[0]?.content.matrix;
    if (n < 2 || !matrix?.rows.linked) return 0;
    const { rows } = matrix;
    const tag = tagRoom(matrix);
    const natural = Math.max(...range(rows.n).map((i) => textWidth(`${rows.name(i)}  ${rows.number(i)}`)));
    const words = Math.min(natural, WORDS * letterScale(), Math.max(total * 0.16, 120)) + 2;
    const plot = (total - (n - 1) * GAP - (words - tag)) / n - tag - 10 - BAND;
    return plot / rows.n < lineHeight() ? 0 : words;
  }

  /** The names of groups as far as they fit beside their rows or over their columns, `cell` px each. */
  function fitBlocks(layout, cell) {
    for (const note of layout.annotations || []) {
      const [, axis, start, end] = /^block ([xy]) (\d+) (\d+)$/.exec(note.name || "") || [];
      if (!axis) continue;
      const words = fitText(unescape(note.hovertext), (end - start) * cell[axis === "x" ? 0 : 1] - 4);
      note.text = words.length < 6 && words.endsWith("…") ? "" : escape(words); // "The…" names nothing
    }
  }

  /** Each title on one line: where it is too long, from the words on in which it differs from the others. */
  function fitTitles(panels) {
    const all = panels.map(({ data }) => data.title.split(" "));
    const alike = (one, other) => {
      const most = Math.min(one.length, other.length) - 1;
      const apart = one.findIndex((word, i) => word !== other[i]);
      return apart < 0 ? most : Math.min(apart, most);
    };
    for (const { title: node, data } of panels) {
      const { fontWeight, fontSize, fontFamily } = getComputedStyle(node);
      const font = `${fontWeight} ${fontSize} ${fontFamily}`;
      const room = node.parentNode.clientWidth;
      const words = data.title.split(" ");
      const shared = Math.max(0, ...all.map((other) => (other.join(" ") === data.title ? 0 : alike(words, other))));
      const starts = range(shared + 1).map((start) => (start ? `…${words.slice(start).join(" ")}` : data.title));
      node.textContent = fitText(starts.find((text) => textWidth(text, font) <= room) ?? starts[shared], room, font);
      node.title = node.textContent === data.title ? "" : data.title;
    }
  }

  /** The height that is left for a figure before an audience, which does not scroll; none elsewhere. */
  function heightLeft(box) {
    if (!document.body.classList.contains("ic-presenter")) return undefined;
    return Math.max(LEAST, window.innerHeight - box.getBoundingClientRect().top - EDGE);
  }

  /** `words` is the room for words beside the rows, undefined for what the width allows; `below` see `heightLeft`. */
  function matrixLayout(layout, content, panel, width, ink, words, below, highest = below) {
    const { rows, columns } = content.matrix;
    const wordsFit = !rows.linked || (words !== 0 && width >= LABEL_FROM);
    const tagWidth = tagRoom(content.matrix);
    const band = BAND * letterScale();
    const right = bandsOf(layout, "y").length ? band : 6;
    const [rowTexts, columnTexts] = [ownTicks(rows, layout.yaxis), ownTicks(columns, layout.xaxis)];
    const label = (i) => (rows.linked ? `${rows.name(i)}  ${rows.number(i)}` : (rowTexts.get(i) ?? ""));
    const natural = Math.max(...range(rows.n).map((i) => textWidth(label(i))), 0);
    const aspect = panel.aspect ?? rows.n / columns.n;
    const tallest = Math.min(highest ?? clamp(window.innerHeight * 0.72, 320, 640), rows.n * WIDE_CELL * letterScale());
    const named = (axis) => (axis?.title?.text ? 18 * letterScale() : 0);
    const size = (left) => {
      const plotWidth = Math.min(width - left - named(layout.yaxis) - right, tallest / aspect);
      const least = Math.min(rows.n * 14, rows.linked ? 280 : 560, highest ?? Infinity);
      return [plotWidth, Math.max(plotWidth * aspect, least)];
    };
    const fit = (room) => [room, (room || tagWidth) + 10, ...size((room || tagWidth) + 10)];
    const usual = Math.min(natural, WORDS * letterScale(), width * 0.36) + 2;
    let [room, left, plotWidth, plotHeight] = fit(wordsFit ? (rows.linked && words) || usual : 0);
    if (plotHeight / rows.n < lineHeight() && rows.linked) [room, left, plotWidth, plotHeight] = fit(0);
    const share = (axis) => (axis?.domain ? axis.domain[1] - axis.domain[0] : 1); // the rest holds the totals
    const cell = [(plotWidth * share(layout.xaxis)) / columns.n, (plotHeight * share(layout.yaxis)) / rows.n];
    const bottom = columnTicks(columns, columnTexts, cell[0]);
    const onTop = layout.xaxis?.side === "top";
    const deep = bottom.height + 8 + named(layout.xaxis);
    const top = bandsOf(layout, "x").length ? band : 4;
    const margin = { l: left + named(layout.yaxis), r: right, t: onTop ? deep : top, b: onTop ? 4 : deep, pad: 0 };
    const over = plotHeight + margin.t + margin.b - below;
    if (over > 1 && plotHeight > over) {
      return matrixLayout(layout, content, panel, width, ink, words, below, plotHeight - over);
    }
    fitBlocks(layout, cell);
    layout.xaxis = { range: [-0.5, columns.n - 0.5], ...layout.xaxis, ...QUIET, ...bottom.ticks };
    layout.yaxis = { range: [rows.n - 0.5, -0.5], ...layout.yaxis, ...QUIET, ...rowTicks(rows, rowTexts, cell[1], room, ink) };
    delete layout.yaxis.scaleanchor;
    const [outerWidth, outerHeight] = [plotWidth + margin.l + margin.r, plotHeight + margin.t + margin.b];
    Object.assign(layout, { margin, width: Math.round(outerWidth), height: Math.round(outerHeight) });
    return cell;
  }

  return { GAP, clamp, letterScale, dressed, matrixLayout, tagRoom, wordsBeside, fitTitles, heightLeft };
})();
