"""What a visitor should know of the texts of a run: hardly English, cut off, labels written alike or used once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np

from instructor_core.analysis.labels import label_issues
from instructor_core.analysis.numbers import counted
from instructor_core.cache import CachedEncoder
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.feedback import note
from instructor_core.ui.page import Page

if TYPE_CHECKING:
    from instructor_core.families import EmbeddingModel

MAX_SAMPLED = 200  # texts that are looked at
MAX_NAMED = 5
READ = 600  # characters of a text that tell its language
FOREIGN_BYTES = 0.3  # of the pieces: unknown ones and single bytes
# A text of some words that falls apart, and has none of the small words of English, is another language. Of 400 texts
# each of 28 English data sets this takes no more than 14 % (key words for a search), of German, French, Spanish,
# Italian, Dutch, Polish and Turkish sentences 75 to 100 %: it is said where it is true of most of the texts.
PIECES_PER_WORD, SMALL_WORDS, MIN_WORDS, MOST = 1.8, 0.06, 4, 0.6
ENGLISH = re.compile(
    "about all and any are because been but by can't could did does don't for from get got have his how i'm it it's "
    "its just like my not of our out please she that the their them there they this what when where which who why "
    "with would you your".replace(" ", "|")
)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_BYTE = re.compile(r"<unk>|<0x[0-9A-F]{2}>")


def text_warnings(encoder: CachedEncoder, inputs: Inputs) -> tuple[str, ...]:
    """Return a sentence on each thing that is wrong with many of the texts; none where all is well."""
    prompts = encoder.prompts(inputs.instructions)
    return tuple(sentence for find in (_foreign, _cut_off) if (sentence := find(encoder.model, prompts, inputs.texts)))


def label_repair(inputs: Inputs) -> str:
    """Return what can be mended in the labels, as HTML, with a button that merges those that are written alike."""
    if inputs.labels is None:
        return ""
    issues = label_issues(inputs.labels)
    alike = issues.merges[:MAX_NAMED]
    found = ""
    if alike:
        count = "Two labels are" if len(issues.merges) == 1 else f"{len(issues.merges)} pairs of labels are"
        named = "; ".join(f'"{merge.into}", "{merge.label}"' for merge in alike)
        more = "; ..." if len(issues.merges) > MAX_NAMED else ""
        found = f"{escape(f'{count} written alike: {named}{more}')} <button type='button' data-merge>merge</button>"
    once = [label for label in issues.singletons if label not in {merge.label for merge in issues.merges}]
    if once and len(issues.rows):  # where all stand once they are names
        names = ", ".join(f'"{label}"' for label in once[:MAX_NAMED]) + (", ..." if len(once) > MAX_NAMED else "")
        has = "label has" if len(once) == 1 else "labels have"
        found += f" {escape(f'{len(once)} {has} one text: {names}.')}"
    return f'<p class="ic-note" role="note">{found.strip()}</p>' if found else ""


def follow_warnings(page: Page, line: gr.HTML) -> None:
    """Keep the line under the heading of the texts in step with the run."""

    def warn(inputs: Inputs) -> list[str]:
        return [note(*text_warnings(page.runtime.encoder(inputs.checkpoint_id), inputs)) + label_repair(inputs)]

    page.follow(warn, [page.inputs], [line])


def _foreign(model: EmbeddingModel, _: Sequence[str], texts: Sequence[str]) -> str:
    if hasattr(model, "template"):
        return ""  # most others know many languages
    rows = np.linspace(0, len(texts) - 1, min(MAX_SAMPLED, len(texts))).astype(int).tolist()
    bytes_in: list[int] = []
    apart: list[int] = []
    for row in rows:
        begin = texts[row][:READ]
        pieces = model.tokenizer.tokenize(begin)
        if sum(bool(_BYTE.fullmatch(piece)) for piece in pieces) > FOREIGN_BYTES * len(pieces):
            bytes_in.append(row)
        elif falls_apart(begin, pieces):
            apart.append(row)
    found = sorted(bytes_in + apart) if len(apart) + len(bytes_in) >= MOST * len(rows) else bytes_in
    if not found:
        return ""
    does = "does" if len(found) == 1 else "do"
    return (
        f"{_count(found, len(rows), len(texts))} {does} not look like English: "
        "the checkpoint knows no other language, and its cosines mean little there."
    )


def falls_apart(text: str, pieces: Sequence[str]) -> bool:
    """Whether a text in Latin letters is foreign to a vocabulary: many pieces a word, no small English words."""
    words = _WORD.findall(text.lower().replace("’", "'"))
    if len(words) < MIN_WORDS:
        return False
    with_letters = sum(any(map(str.isalpha, piece)) for piece in pieces)
    n_english = sum(bool(ENGLISH.fullmatch(word)) for word in words)
    return with_letters >= PIECES_PER_WORD * len(words) and n_english < SMALL_WORDS * len(words)


def _cut_off(model: EmbeddingModel, instructions: Sequence[str], texts: Sequence[str]) -> str:
    room = model.max_seq_length - getattr(model, "n_marks", 1) - max(model.count_tokens(instructions))
    sizes = {row: len(text.encode("utf-8", "replace")) for row, text in enumerate(texts) if 4 * len(text) >= room}
    longest = sorted((row for row, size in sizes.items() if size >= room), key=lambda row: -sizes[row])[:MAX_SAMPLED]
    counts = model.count_tokens([texts[row].strip() for row in longest])
    found = sorted(row for row, count in zip(longest, counts, strict=True) if count > room)
    if not found:
        return ""
    at_least = "At least " if len(found) == MAX_SAMPLED < len(texts) else ""
    are = "is" if len(found) == 1 else "are"
    return (
        f"{at_least}{_count(found, len(texts), len(texts))} {are} cut off: the window ends after "
        f"{model.max_seq_length} tokens, the instruction included."
    )


def _count(found: Sequence[int], n: int, n_texts: int) -> str:
    """How many texts, of how many, and their numbers: `3 of 16 texts (1, 4, 9)`."""
    of = counted(n, "text") + (" looked at" if n < n_texts else "")
    numbers = ", ".join(str(row + 1) for row in found[:MAX_NAMED])
    more = ", ..." if len(found) > MAX_NAMED else ""
    return f"{len(found)} of {of} ({numbers}{more})"
