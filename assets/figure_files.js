/* The menu over each figure that saves it: PNG and SVG drawn by Plotly in the browser, HTML as one file with Plotly's
   script inside, which opens offline and asks nobody, and CSV for the values. Nothing is sent to the server. */
window.InstructorFigureFiles = window.InstructorFigureFiles || (() => {
  "use strict";

  const { el } = InstructorLinking;
  const { unescape, matrixOf, pointLines } = InstructorFigure;
  const POLICY = window.InstructorTheme.policy; // of a file that may ask nobody for anything
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

  const size = (gd, scale) => ({ width: gd._fullLayout.width + (scale ? BAR : 0), height: gd._fullLayout.height });

  /** The picture carries what the page says around it: the heading, the scale, the colour of the page. */
  function picture(format, { gd, title, scale }) {
    const { width, height } = size(gd, scale);
    const top = gd.layout.margin?.t ?? gd._fullLayout.margin.t;
    const layout = {
      ...gd.layout,
      paper_bgcolor: getComputedStyle(document.body).backgroundColor,
      title: { text: escape(title), x: 0.02, font: { size: 15 } },
      ...(gd.layout.meta?.legend ? { showlegend: true } : {}), // which the page shows once for all figures
      margin: { ...gd.layout.margin, t: top + HEADING },
      width,
      height: height + HEADING,
    };
    const options = { format, scale: format === "png" ? 2 : 1, filename: fileName(title), width, height: height + HEADING };
    return Plotly.downloadImage({ data: withScale(gd, scale), layout }, options);
  }

  /** The text of a script of this page, to be put into the saved file. */
  async function source(name) {
    const script = [...document.scripts].find((entry) => entry.src.split("?")[0].endsWith(`/${name}`));
    const answer = await fetch(script.src);
    if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
    return answer.text();
  }

  async function page({ gd, title, subtitle, scale, items, frames, alt }) {
    const scripts = await Promise.all(["plotly.min.js", "figure.js"].map(source));
    const style = getComputedStyle(document.body);
    const { font } = gd._fullLayout; // of the light or the dark page
    const { width, height } = size(gd, scale);
    const larger = Math.max(1, Math.min(2, ALONE / width)); // the figure has the page to itself
    const layout = {
      ...gd.layout,
      width: Math.round(width * larger),
      height: Math.round(height * larger) + HEADING,
      margin: { ...gd.layout.margin, t: (gd.layout.margin?.t ?? gd._fullLayout.margin.t) + HEADING }, // for the buttons
      ...(gd.layout.meta?.legend ? { showlegend: true } : {}),
      autosize: false,
      paper_bgcolor: style.backgroundColor,
    };
    return [
      '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
      `<title>${escape(title)}</title>`,
      `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`,
      '<meta name="viewport" content="width=device-width, initial-scale=1">',
      `<style>body { margin: 1.5rem; color: ${font.color}; background: ${style.backgroundColor}; font: 15px/1.5 ${font.family}; }`,
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

  function offer(content, name, type) {
    const link = el("a");
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  async function save(kind, figure) {
    const name = `${fileName(figure.title)}.${kind}`;
    if (kind === "html") offer(await page(figure), name, "text/html");
    else if (kind === "csv") offer(csv(figure), name, "text/csv");
    else await picture(kind, figure);
  }

  /** The menu of one figure; `current()` gives {gd, title, subtitle, scale, items, frames, alt}, `say` what to read out. */
  function menu(title, current, say) {
    const root = el("details", "ic-save");
    const summary = el("summary");
    summary.setAttribute("aria-label", `Save figure: ${title}`);
    summary.title = "Save this figure";
    summary.innerHTML = `<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d="${ARROW}"/></svg>`;
    const list = el("div", "ic-save-list");
    for (const [kind, label] of KINDS) {
      const button = el("button", "", label);
      button.type = "button";
      button.addEventListener("click", async () => {
        root.open = false;
        summary.focus();
        try {
          await save(kind, current());
          say(`${title} was saved as ${kind.toUpperCase()}.`);
        } catch (error) {
          console.warn(error);
          say(`${title} could not be saved as ${kind.toUpperCase()}. Reload the page and try again.`);
        }
      });
      list.append(button);
    }
    root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !root.open) return;
      root.open = false;
      summary.focus();
    });
    root.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !root.contains(event.relatedTarget)) root.open = false;
    });
    root.append(summary, list);
    return root;
  }

  document.addEventListener("pointerdown", (event) => {
    for (const open of document.querySelectorAll(".ic-save[open]")) if (!open.contains(event.target)) open.open = false;
  });

  return { menu, cell };
})();
