"""Bytes to lines: gzip unpacked, the encoding told from all of the file, a stray byte never deciding for the others."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from instructor_core.errors import UserError

_CHUNK = 1 << 20
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_BINARY = (
    (b"PK\x03\x04", "ZIP archive or Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "old Excel workbook"),
    (b"%PDF", "PDF"),
    (b"PAR1", "Parquet file"),
)
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a]")
_ESCAPED = re.compile("[\udc80-\udcff]")
_WIDE = re.compile("[^\x00-\x7f\ud800-\udfff]")
_UNDEFINED_IN_1252 = re.compile(b"[\x81\x8d\x8f\x90\x9d]")


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, unpacked if it is gzip (by its content, whatever its name)."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            yield gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[misc]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path.name} is a damaged gzip archive ({error}). Copy or pack it again.") from error
    except FileNotFoundError as error:
        raise UserError(f"There is no readable file {path.name}. Check the path, or upload it again.") from error
    except OSError as error:
        raise UserError(f"{path.name} is not readable ({error.strerror or error}). Check the file.") from error


def find_encoding(path: Path, asked: str | None, *, most: int | None = None) -> tuple[str, str]:
    """Return the encoding of a file, unless it was asked for, and a sentence about it if it was guessed ("" if not).

    A byte order mark decides; else UTF-16 shows by its zero bytes. A file without these is UTF-8 if at least as many of
    its characters beyond ASCII are valid as are not, and Windows-1252 otherwise: the whole file is looked at. It may
    unpack to `most` bytes.
    """
    if asked is not None:
        try:
            name = codecs.lookup(asked).name
            "".encode(name)
        except (LookupError, UnicodeError, ValueError) as error:
            raise UserError(
                f"There is no encoding {asked!r}. Pass --encoding utf-8, cp1252, utf-16 or another."
            ) from error
        return ("utf-8-sig" if name == "utf-8" else name), ""
    with open_bytes(path) as file:
        head = file.read(_CHUNK)
        for mark, kind in _BINARY:
            if head.startswith(mark):
                raise UserError(f"{path.name} is a {kind}, not text. Save the table as CSV and use that.")
        encoding = next((name for mark, name in _MARKS if head.startswith(mark)), None) or _wide_encoding(head)
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        n_bytes = n_valid = n_strays = n_controls = n_characters = 0
        undefined = False
        chunk = head
        while chunk:
            n_bytes += len(chunk)
            if most is not None and n_bytes > most:
                raise UserError(f"A file may unpack to {most / 1e6:.0f} MB: {path.name} has more. Split it.")
            if encoding is None:
                text = decoder.decode(chunk)
                n_characters += len(text)
                n_controls += len(_CONTROLS.findall(text))
                if not text.isascii():
                    n_valid += len(_WIDE.findall(text))
                    n_strays += len(_ESCAPED.findall(text))
                    undefined = undefined or bool(_UNDEFINED_IN_1252.search(chunk))
            chunk = file.read(_CHUNK)
        n_strays += len(decoder.decode(b"", final=True)) if encoding is None else 0
    if n_controls > 8 and n_controls > n_characters / 100:
        raise UserError(
            f"{path.name} is not text: {n_controls} of {n_characters} characters are control codes. Save the table as "
            "CSV in UTF-8, or name its encoding with --encoding."
        )
    if encoding is not None:
        return encoding, ""
    if n_strays > n_valid:
        old = ("latin-1", "Latin-1") if undefined else ("cp1252", "Windows-1252")
        return old[0], (
            f"{path.name} is not UTF-8; it was read as {old[1]}. Check accents; another encoding can be named "
            "(--encoding), or save it as UTF-8."
        )
    return "utf-8", ""


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 without a mark shows by zero bytes at every other place, and by a zero byte beside each line end."""
    even, odd = head[0::2], head[1::2]
    for encoding, high, low, line_end in (("utf-16-le", odd, even, b"\n\0"), ("utf-16-be", even, odd, b"\0\n")):
        zeros, others = high.count(0), low.count(0)
        lines = head.count(b"\n")
        if zeros > 10 * others and (zeros > 0.2 * len(high) or (lines and head.count(line_end) >= 0.9 * lines)):
            return encoding
    return None


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Open the text of a file; a byte that is not UTF-8 stays as a lone surrogate, to be counted where it stands."""
    with open_bytes(path) as file:
        raw: Any = file
        errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
        text = io.TextIOWrapper(raw, encoding, errors=errors, newline="")
        try:
            yield text
        finally:
            text.detach()
