/* The menu over each figure that saves it: PNG and SVG drawn by Plotly in the browser, HTML as one file with Plotly's
   script inside, which opens offline and asks nobody, and CSV for the values. Nothing is sent to the server. */
window.InstructorFigureFiles = window.InstructorFigureFiles || (() => {
  "use strict";

  const { THEME, el, button, onKeys, saveFile } = InstructorLinking;
  const { unescape, matrixOf, pointLines } = InstructorFigure;
  const KINDS = [
    ["png", "PNG"],
    ["svg", "SVG"],
    ["html", "HTML, 5 MB, opens offline"],
    ["csv", "CSV of its values"],
  ];
  const BAR = 130; // px for the scale beside a matrix
  const HEADING = 34; // px
  const ALONE = 760; // px, width of a figure in a file of its own
  const ARROW = "M8 2v8M4.5 6.5 8 10l3.5-3.5M3 13.5h10";

  const escape = (text) => InstructorFigure.escape(text).replace(/"/g, "&quot;");
  /** JSON that may stand inside a script: without a single "<". */
  const inert = (value) => JSON.stringify(value).replace(/</g, "\\u003c");
  const fileName = (title) => title.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60).replace(/^-|-$/g, "") || "figure";

  /** The traces with the scale that the page shows once for all figures. */
  const withScale = (gd, scale) =>
    gd.data.map((trace) =>
      trace.type === "heatmap" && scale
        ? { ...trace, showscale: true, colorbar: { thickness: 10, outlinewidth: 0, title: { text: escape(scale.label) } } }
        : trace,
    );

  /** The layout of a figure with room for the scale, and for what stands above it, on the colour of the page. */
  function framed({ gd, scale }, widest = 0) {
    const { width, height, margin } = gd._fullLayout;
    const whole = width + (scale ? BAR : 0);
    const larger = Math.max(1, Math.min(2, widest / whole));
    return {
      ...gd.layout,
      ...(gd.layout.meta?.legend ? { showlegend: true } : {}), // which the page shows once for all figures
      width: Math.round(whole * larger),
      height: Math.round(height * larger) + HEADING,
      margin: { ...gd.layout.margin, t: (gd.layout.margin?.t ?? margin.t) + HEADING },
      paper_bgcolor: getComputedStyle(document.body).backgroundColor,
    };
  }

  /** The picture carries what the page says around it: the heading, the scale, the colour of the page. */
  function picture(format, figure) {
    const { gd, title, scale } = figure;
    const layout = { ...framed(figure), title: { text: escape(title), x: 0.02, font: { size: 15 } } };
    const { width, height } = layout;
    const options = { format, scale: format === "png" ? 2 : 1, filename: fileName(title), width, height };
    return Plotly.downloadImage({ data: withScale(gd, scale), layout }, options);
  }

  /** The text of a script of this page, to be put into the saved file. */
  async function source(name) {
    const script = [...document.scripts].find((entry) => entry.src.split("?")[0].endsWith(`/${name}`));
    const answer = await fetch(script.src);
    if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
    return answer.text();
  }

  async function page(figure) {
    const { gd, title, subtitle, scale, items, frames, alt } = figure;
    const scripts = await Promise.all(["plotly.min.js", "figure.js"].map(source));
    const { font } = gd._fullLayout; // of the light or the dark page
    const layout = { ...framed(figure, ALONE), autosize: false };
    const colors = `color: ${font.color}; background: ${layout.paper_bgcolor}`;
    return [
      '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
      `<title>${escape(title)}</title>`,
      `<meta http-equiv="Content-Security-Policy" content="${THEME.policy}">`,
      '<meta name="viewport" content="width=device-width, initial-scale=1">',
      `<style>body { margin: 1.5rem; ${colors}; font: 15px/1.5 ${font.family}; }`,
      "h1 { font-size: 1.1rem; margin: 0; } p { margin: .2rem 0 1rem; max-width: 60rem; opacity: .8; }</style></head>",
      `<body><h1>${escape(title)}</h1><p>${escape([subtitle, alt].filter(Boolean).join(". "))}</p><div id="figure"></div>`,
      `<script type="application/json" id="figure-data">${inert({ data: withScale(gd, scale), layout, frames, items })}</script>`,
      ...scripts.map((text) => `<script>${text}</script>`),
      '<script>InstructorFigure.show("figure", JSON.parse(document.getElementById("figure-data").textContent), false);</script>',
      "</body></html>\n",
    ].join("\n");
  }

  /** A cell of a CSV file; text that a spreadsheet would take for a formula gets an apostrophe before it. */
  function cell(value) {
    if (typeof value === "number") return String(value);
    const text = String(value ?? "");
    const inertText = /^[\t\r\n]|^\s*[=+\-@＝＋－＠]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(inertText) ? `"${inertText.replace(/"/g, '""')}"` : inertText;
  }

  /** The values of a figure: a matrix as rows and columns with their names, anything else as one row per mark. */
  function table({ gd, items }) {
    const unescaped = (value) => (typeof value === "string" ? unescape(value) : value);
    const drawn = gd.data.find((trace) => trace.meta?.kind === "matrix");
    if (drawn) {
      const { z, value, rows, columns } = matrixOf(drawn, items);
      const head = Array.from(z[0] || [], (_, c) => columns.name(c));
      return [[value, ...head], ...z.map((line, r) => [rows.name(r), ...line])];
    }
    const lines = [["series", "x", "y", "z", "text"]];
    for (const trace of gd.data.filter((entry) => entry.meta?.kind !== "mark")) {
      const { x, y, z, customdata } = trace;
      const text = (i) => (trace.meta?.kind === "points" ? pointLines(trace, items, i).map(([, line]) => line) : [customdata?.[i]]);
      const n = Math.max(x?.length || 0, y?.length || 0, z?.length || 0);
      for (let i = 0; i < n; i += 1) {
        const words = text(i).filter((entry) => typeof entry === "string").join("\n");
        lines.push([unescaped(trace.name), unescaped(x?.[i] ?? i), unescaped(y?.[i] ?? i), z?.[i], words]);
      }
    }
    return lines;
  }

  const csv = (figure) => `\ufeff${table(figure).map((line) => line.map(cell).join(",")).join("\r\n")}\r\n`;

  async function save(kind, figure) {
    const name = `${fileName(figure.title)}.${kind}`;
    if (kind === "html") saveFile(await page(figure), name, "text/html");
    else if (kind === "csv") saveFile(csv(figure), name, "text/csv");
    else await picture(kind, figure);
  }

  /** The menu of one figure; `current()` gives {gd, title, subtitle, scale, items, frames, alt}, `say` what to read out. */
  function menu(title, current, say) {
    const summary = el("summary", { "aria-label": `Save figure: ${title}`, title: "Save this figure" });
    summary.innerHTML = `<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d="${ARROW}"/></svg>`;
    const close = () => {
      root.open = false;
      summary.focus();
    };
    const choices = KINDS.map(([kind, label]) =>
      button(label, "", async () => {
        close();
        try {
          await save(kind, current());
          say(`${title} was saved as ${kind.toUpperCase()}.`);
        } catch (error) {
          console.warn(error);
          say(`${title} could not be saved as ${kind.toUpperCase()}. Reload the page and try again.`);
        }
      }),
    );
    const root = el("details", "ic-save", summary, el("div", "ic-save-list", ...choices));
    onKeys(root, { Escape: () => (root.open ? close() : false) });
    root.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !root.contains(event.relatedTarget)) root.open = false;
    });
    return root;
  }

  document.addEventListener("pointerdown", (event) => {
    for (const open of document.querySelectorAll(".ic-save[open]")) if (!open.contains(event.target)) open.open = false;
  });

  return { menu, cell };
})();
