/* What a figure says wherever it is drawn, on the page, in a saved file and in the report: the words of its tooltips.
   Needs Plotly alone. See figures/panels.py for `trace.meta`. */
window.InstructorFigure = window.InstructorFigure || (() => {
  "use strict";

  const MINUS = "\u2212";
  const LONGEST = 300; // characters of a text in a tooltip of Plotly's, which does not wrap
  const CONFIG = { displaylogo: false, showSendToCloud: false, plotlyServerURL: "" }; // nothing is sent anywhere

  const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const unescape = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

  /** A number with a fixed count of decimals and a real minus sign; "no value" for null. */
  function number(value, decimals = 3) {
    if (value === null || value === undefined || Number.isNaN(value)) return "no value";
    const text = Number(value).toFixed(decimals);
    return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", MINUS);
  }

  /** The matrix that a trace shows: its values, and for each side which items it holds and how they are called. */
  function matrixOf({ meta, z }, items) {
    const side = (names, ids, n) => {
      const own = ids || Array.from({ length: n }, (_, i) => i);
      const linked = !names; // to the texts of the other views
      return { n, linked, items: own, name: (i) => (linked ? items[own[i]] : names[i]) ?? "", number: (i) => (linked ? String(own[i] + 1) : "") };
    };
    return {
      z,
      value: meta.value || "value",
      rows: side(meta.row_names, meta.rows, z.length),
      columns: side(meta.column_names, meta.columns, z[0]?.length || 0),
    };
  }

  // Lines of a tooltip: [tag or "", words].
  const cellLines = ({ z, value, rows, columns }, r, c) => [
    [value, number(z[r][c])],
    [rows.number(r), rows.name(r)],
    [columns.number(c), columns.name(c)],
  ];

  function pointLines(trace, items, at) {
    const item = trace.customdata[at];
    const own = Array.isArray(trace.hovertext) ? trace.hovertext[at] : trace.hovertext;
    return [[String(item + 1), items[item] ?? ""], ...(own ? [["", own]] : [])];
  }

  /** Draws a figure in a file of its own, with these words in Plotly's tooltips. */
  function show(node, { data, layout, frames = [], items }, responsive) {
    const plain = (text) => escape(String(text ?? "").slice(0, LONGEST)).replace(/\n/g, "<br>");
    const joined = (lines) => lines.map(([tag, text]) => plain(tag ? `${tag}  ${text}` : text)).join("<br>");
    for (const trace of data) {
      const { kind } = trace.meta || {};
      if (kind === "matrix") {
        const matrix = matrixOf(trace, items);
        trace.hovertext = trace.z.map((line, r) => line.map((_, c) => joined(cellLines(matrix, r, c))));
      } else if (kind === "points") {
        trace.hovertext = trace.customdata.map((_, at) => joined(pointLines(trace, items, at)));
      } else if (Array.isArray(trace.customdata) && typeof trace.customdata.flat()[0] === "string") {
        trace.hovertext = trace.customdata.map((tip) => (Array.isArray(tip) ? tip.map(plain) : plain(tip)));
      } else continue;
      delete trace.hoverinfo;
      trace.hovertemplate = "%{hovertext}<extra></extra>";
    }
    Plotly.newPlot(node, { data, layout, frames, config: { ...CONFIG, responsive } });
  }

  return { CONFIG, escape, unescape, number, matrixOf, cellLines, pointLines, show };
})();
