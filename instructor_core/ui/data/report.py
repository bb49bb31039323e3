"""The report of a run: one HTML file with everything in it, which opens offline and calls nobody."""

from __future__ import annotations

from html import escape
from pathlib import Path

from instructor_core.analysis.grid import EmbeddingGrid, letter
from instructor_core.analysis.numbers import counted
from instructor_core.analysis.similarity import similarity
from instructor_core.figures import theme
from instructor_core.figures.charts import one_line
from instructor_core.figures.panels import Panel, PanelSet, inert_json
from instructor_core.figures.similarity import similarity_panels
from instructor_core.table.cells import well_formed
from instructor_core.ui.components import ASSETS, FILE_POLICY, PLOTLY_JS
from instructor_core.ui.data.exports import Export, snippet, versions

TITLE = "Instruction Lens: report of a run"
MAX_DRAWN = 120  # texts in a matrix
MAX_SHOWN = 2000  # characters of a text

_STYLE = """
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: var(--ic-ink); background: var(--ic-page);
  font: 15px/1.5 var(--ic-sans); }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2rem; } .muted { color: var(--ic-muted); }
.figures { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); }
.figures h3 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; } .figure { height: 26rem; }
.chip { padding: 0 .4em; border-radius: 3px; }
table { border-collapse: collapse; width: 100%; } td, th { padding: .2rem .6rem; text-align: left;
  vertical-align: top; border-bottom: 1px solid var(--ic-rule); overflow-wrap: anywhere; unicode-bidi: isolate; }
pre { padding: .8rem; overflow: auto; background: var(--ic-raised); font: 13px/1.45 var(--ic-mono); }
"""

_SCRIPT = """
const { panels, items, template } = JSON.parse(document.getElementById("view").textContent);
panels.forEach(({ figure }, number) => {
  const scale = { showscale: true, colorbar: { thickness: 10, outlinewidth: 0 } };
  for (const trace of figure.data) Object.assign(trace, scale);
  const layout = { ...figure.layout, template, autosize: true };
  InstructorFigure.show(`figure-${number}`, { data: figure.data, layout, items }, true);
});
"""


def write_report(export: Export, path: Path) -> None:
    """Write the report as one HTML file."""
    path.write_text(report_html(export), encoding="utf-8")


def report_html(export: Export) -> str:
    """Return the report: checkpoint and versions, instructions, one matrix per instruction, texts, and the code.

    Long texts are shortened, and matrices drawn for the first texts; what is left out is said.
    """
    grid = export.grid
    texts = tuple(_shorten(text) for text in grid.texts)
    drawn = _take_first(grid, MAX_DRAWN)
    panels = similarity_panels(similarity(drawn), texts[:MAX_DRAWN], drawn.labels, grid.instructions)
    cut = f" The first {MAX_DRAWN} of {grid.n_texts} texts are drawn." if grid.n_texts > MAX_DRAWN else ""
    code = snippet(export.checkpoint, grid.instructions, grid.texts, dtype=export.dtype)
    facts = {
        "checkpoint": export.checkpoint.id,
        "revision": export.checkpoint.revision or "bundled or local, without a revision",
        "precision": export.dtype,
        "embeddings": f"{counted(grid.n_instructions, 'instruction')} × {counted(grid.n_texts, 'text')}, "
        f"{grid.dim} dimensions",
        "computed with": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }
    rows = [[str(i + 1), text, *(column[i] for column in export.label_columns)] for i, text in enumerate(texts)]
    body = [
        f"<h1>{TITLE}</h1>",
        _table([], [[name, value] for name, value in facts.items()]),
        "<h2>Instructions</h2>",
        _table([], [[letter(k), one_line(text)] for k, text in enumerate(grid.instructions)]),
        f"<h2>Similarity of the texts</h2><p class=muted>{escape(panels.alt + cut)}</p>",
        f"<div class=figures>{_figures(panels)}</div>",
        f"<h2>Texts</h2><p class=muted>{_words(' '.join(export.warnings))}</p>",
        _table(["", "text", *export.label_names], rows),
        f"<h2>Code</h2><pre>{escape(code)}</pre>",
    ]
    return _page("\n".join(body), panels)


def _take_first(grid: EmbeddingGrid, n: int) -> EmbeddingGrid:
    """The grid of the first n texts: of 10,000 the matrices would not fit into memory."""
    if grid.n_texts <= n:
        return grid
    labels = None if grid.labels is None else grid.labels[:n]
    return EmbeddingGrid(grid.instructions, grid.texts[:n], labels, grid.vectors[:, :n])


def _page(body: str, panels: PanelSet) -> str:
    # The payload of the page's own plot view, without a single "<", and the template of the light page.
    view = panels.to_json()[:-1] + ',"template":' + inert_json(theme.template()) + "}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{TITLE}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{FILE_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{theme.css_variables()}{_STYLE}</style></head>\n<body>\n{body}\n"
        f'<script type="application/json" id="view">{well_formed(view)}</script>\n'
        f"<script>{PLOTLY_JS.read_text(encoding='utf-8')}</script>\n"
        f"<script>{(ASSETS / 'figure.js').read_text(encoding='utf-8')}{_SCRIPT}</script>\n</body></html>\n"
    )


def _figures(panels: PanelSet) -> str:
    def figure(number: int, panel: Panel) -> str:
        color = theme.LIGHT.ink if panel.instruction is None else theme.accent(panel.instruction)
        chip = f'<span class="chip" style="background:{color};color:{theme.ink_on(color)}">{escape(panel.key)}</span>'
        return (
            f'<section><h3>{chip} {_words(panel.title)}</h3><div class="figure" id="figure-{number}"></div></section>'
        )

    return "".join(figure(number, panel) for number, panel in enumerate(panels.panels))


def _table(names: list[str], rows: list[list[str]]) -> str:
    head = [f"<tr>{''.join(f'<th>{_words(name)}</th>' for name in names)}</tr>"] if names else []
    body = [f"<tr>{''.join(f'<td>{_words(cell)}</td>' for cell in row)}</tr>" for row in rows]
    return f"<table>{''.join([*head, *body])}</table>"


def _words(text: str) -> str:
    return escape(well_formed(text))


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}… ({len(text)} characters)"
