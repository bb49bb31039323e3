"""One reader of files with texts: CSV, TSV, TXT, JSON, JSON lines and Parquet, each also packed as ``.gz``.

Every cell is the string that is written in the file: nothing is taken for a number, a date or a missing value, except
that a blank cell is missing. A row that cannot be read is left out, counted and named; the others are read.
"""

from instructor_core.table.cells import Notes, is_blank
from instructor_core.table.file import FILE_TYPES, Reading, TableFile, is_json, read_values
from instructor_core.table.structured import BadRows, has_pyarrow

__all__ = [
    "FILE_TYPES",
    "BadRows",
    "Notes",
    "Reading",
    "TableFile",
    "has_pyarrow",
    "is_blank",
    "is_json",
    "read_values",
]
