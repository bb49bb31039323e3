"""A scene as a string for a link or as a file, and back.

A link is a stranger's input. It is read as data alone: bounded before and after it is unpacked, checked field by
field, and anything that is not known is left aside.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from instructor_core.errors import UserError
from instructor_core.ui.data.inputs import (
    MAX_CHARACTERS,
    MAX_INSTRUCTION,
    MAX_INSTRUCTIONS,
    MAX_TEXTS,
    Inputs,
    join_ready,
    one_line,
)
from instructor_core.ui.page import Selected
from instructor_core.ui.scene import TABS, Option, Scene

VERSION = 3  # 2 knew one checkpoint alone; in 1 the place was called a tab: both are read as well
MAX_LINK = 7_000  # characters of the parameter: every browser, server and proxy on the way takes 8,000 in all
MAX_LINK_BYTES = 1_000_000  # of the JSON inside a link
MAX_FILE_BYTES = 5_000_000  # of a state file
MAX_LABEL_COLUMNS = 10
MAX_OPTIONS = 100
MAX_NAME = 200  # characters of the name of an option, or of a column of labels
MAX_OPTION_VALUE = 20_000  # characters of a value that is a string

_NOT_A_LINK = "This link does not hold a state of the page: {}. Ask for a new one, or go on without it."


def encode_scene(scene: Scene) -> str:
    """Return the state as a string of letters, digits, "-" and "_"; a UserError if there would be more than 7,000."""
    packed = zlib.compress(_json(scene).encode(), 9)
    link = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    if len(link) > MAX_LINK:
        raise UserError(
            f"A link may have {MAX_LINK} characters: this run needs {len(link)}. Save the state as a file instead."
        )
    return link


def decode_scene(link: str, *, checkpoints: Collection[str]) -> tuple[Scene, int]:
    """Return the scene that a link holds, and how many of its options were left out: no plain values, or too many.

    An unknown place is passed over for the first; anything else that `encode_scene` did not write is a UserError.
    """
    if len(link) > MAX_LINK:
        raise UserError(_NOT_A_LINK.format(f"it has {len(link)} characters, and {MAX_LINK} are allowed"))
    try:
        packed = base64.b64decode(link.encode("ascii") + b"=" * (-len(link) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(packed, MAX_LINK_BYTES)
    except (binascii.Error, UnicodeEncodeError, zlib.error) as error:
        raise UserError(_NOT_A_LINK.format("it is cut off or mistyped")) from error
    if unpacker.unconsumed_tail:
        raise UserError(_NOT_A_LINK.format(f"it unpacks to more than {MAX_LINK_BYTES / 1e6:.0f} MB"))
    if not unpacker.eof:
        raise UserError(_NOT_A_LINK.format("it is cut off or mistyped"))
    return _scene(content, checkpoints=checkpoints)


def scene_file(scene: Scene) -> bytes:
    """Return the state as the content of a file: readable JSON in UTF-8; a UserError if it has more than 5 MB."""
    content = _json(scene, indent=1).encode()
    if len(content) > MAX_FILE_BYTES:
        raise UserError(
            f"A state file may have {MAX_FILE_BYTES / 1e6:.0f} MB: this run needs {len(content) / 1e6:.1f} MB. "
            "Export the embeddings instead; they hold the texts."
        )
    return content


def read_scene_file(content: bytes, *, checkpoints: Collection[str]) -> tuple[Scene, int]:
    """Return what a file holds, as `decode_scene` does."""
    if len(content) > MAX_FILE_BYTES:
        raise UserError(
            f"A state file may have {MAX_FILE_BYTES / 1e6:.0f} MB: got {len(content) / 1e6:.1f} MB. Choose another."
        )
    return _scene(content, checkpoints=checkpoints)


def form_of(scene: Scene) -> dict[str, Any]:
    """Return how a scene shows its inputs, as links, files and drafts have it."""
    selected = scene.selected
    return {
        "v": VERSION,
        "place": scene.place,
        "selected": [selected.row, selected.column, selected.instruction],
        "options": dict(scene.options or {}),
        **({"labelled": scene.label_name} if scene.label_name else {}),
        **({"template": scene.inputs.template} if scene.inputs.template else {}),
    }


def scene_of(fields: Mapping[str, Any], inputs: Inputs) -> tuple[Scene, int]:
    """Return the scene that shows inputs as a form says, and how many options were left out.

    What the form says of an unknown place or of a selection outside the inputs is passed over.
    """
    template = fields.get("template")
    if isinstance(template, str) and template.strip():
        inputs = replace(inputs, checkpoint_id=f"{inputs.checkpoint}\n{template[:MAX_INSTRUCTION]}")
    place = fields.get("tab" if fields.get("v") == 1 else "place")
    options, n_ignored = _options(fields.get("options", {}))
    place = place if isinstance(place, str) and place in TABS else next(iter(TABS))
    labelled = fields.get("labelled")
    label_name = one_line(labelled[:MAX_NAME]) if isinstance(labelled, str) and inputs.labels else ""
    return Scene(inputs, place, _selected(fields.get("selected")).within(inputs), options, label_name), n_ignored


def _json(scene: Scene, *, indent: int | None = None) -> str:
    inputs = scene.inputs
    fields = {
        "v": VERSION,
        "checkpoint": inputs.checkpoint,
        **({"beside": inputs.beside_id} if inputs.beside_id else {}),
        "instructions": [instruction.strip() for instruction in inputs.instructions],
        "texts": list(inputs.texts),
        "labels": [list(column) for column in inputs.label_columns],
        **form_of(scene),
    }
    # ASCII: a lone surrogate travels as an escape and is replaced on arrival.
    return json.dumps(fields, separators=(",", ":") if indent is None else None, indent=indent, allow_nan=False)


def _scene(content: bytes, *, checkpoints: Collection[str]) -> tuple[Scene, int]:
    try:
        fields = json.loads(content.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:  # malformed UTF-8 or JSON, NaN, a number of thousands of digits
        raise UserError(_NOT_A_LINK.format("it is not valid JSON")) from error
    if not isinstance(fields, dict) or type(fields.get("v")) is not int or fields["v"] not in range(1, VERSION + 1):
        raise UserError(_NOT_A_LINK.format(f"it is not of version 1 to {VERSION}"))
    checkpoint, beside = fields.get("checkpoint"), fields.get("beside", "")
    if not isinstance(checkpoint, str) or checkpoint not in checkpoints or beside not in ("", *checkpoints):
        known = ", ".join(checkpoints)
        raise UserError(f"The link asks for a checkpoint that is not offered here. Choose one of: {known}.")
    texts = _strings(fields.get("texts"), "texts", 1, MAX_TEXTS, MAX_CHARACTERS)
    if not all(texts):
        raise UserError(_NOT_A_LINK.format("one of its texts is empty"))
    typed = _strings(fields.get("instructions"), "instructions", 1, MAX_INSTRUCTIONS, MAX_INSTRUCTION)
    columns = _label_columns(fields.get("labels", []), len(texts))
    inputs = Inputs(checkpoint, tuple(map(join_ready, typed)), texts, columns[0] if columns else None, columns[1:])
    if beside not in ("", checkpoint):  # in the order of the menu, which offers two only in that
        first, second = (name for name in checkpoints if name in (checkpoint, beside))
        inputs = replace(inputs, checkpoint_id=first, beside_id=second)
    return scene_of(fields, inputs)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _strings(value: object, name: str, least: int, most: int, longest: int) -> tuple[str, ...]:
    """Strings on one line each, as many and as long as allowed."""
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise UserError(_NOT_A_LINK.format(f"its {name} are not a list of strings"))
    if not least <= len(value) <= most:
        raise UserError(_NOT_A_LINK.format(f"it has {len(value)} {name}, and {least} to {most} are allowed"))
    if any(len(entry) > longest for entry in value):
        raise UserError(_NOT_A_LINK.format(f"one of its {name} has more than {longest} characters"))
    return tuple(one_line(entry) for entry in value)


def _label_columns(value: object, n_texts: int) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list) or len(value) > MAX_LABEL_COLUMNS:
        raise UserError(_NOT_A_LINK.format(f"its labels are not a list of at most {MAX_LABEL_COLUMNS} columns"))
    columns = (_strings(column, "labels", n_texts, n_texts, MAX_CHARACTERS) for column in value)
    return tuple(column for column in columns if any(column))


def _selected(value: object) -> Selected:
    """Indices that can be used; what is no index is taken for the default."""
    if isinstance(value, list) and len(value) == 3 and all(type(index) is int and index >= 0 for index in value):
        return Selected(*value)
    return Selected()


def _options(value: object) -> tuple[dict[str, Option], int]:
    """Names with plain values, and how many were left out; whether an option takes its value is for the page to say."""
    if not isinstance(value, dict):
        return {}, 1
    plain = [(name, entry) for name, entry in value.items() if isinstance(entry, str | int | float | None)]
    short = [(name, entry) for name, entry in plain if len(name) <= MAX_NAME and len(str(entry)) <= MAX_OPTION_VALUE]
    taken = short[:MAX_OPTIONS]
    return dict(taken), len(value) - len(taken)
