"""CSV files as load jobs see them: columns by position, and every value in its type or refused.

DuckDB reads the rows. It is lenient where BigQuery is not, and drops a last row whose quote is
never closed; so Python's own reader, in its strict mode, checks the file first and counts its rows.
"""
# ruff: noqa: S608 - SQL is put together from identifiers and constants quoted here

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigquery_emulator.errors import ApiError, invalid, unsupported
from bigquery_emulator.sql.duckdb_errors import UNSUPPORTED_MARK
from bigquery_emulator.storage.column_types import Field, duckdb_type, standard_name
from bigquery_emulator.storage.quoting import quoted, text_literal

OPTIONS = {"allowQuotedNewlines", "fieldDelimiter", "nullMarker", "quote", "skipLeadingRows"}
_GZIP = b"\x1f\x8b"
# DuckDB's buffer is sixteen times the longest line.
_LONGEST_LINE = 10 * 2**20
_DATE = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_TIME = r"[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]{1,6})?"
_FLOAT = r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|(?i:inf|infinity|nan))"
# How a value of each type may be written; a value of another form is refused.
_FORMS = {
    "INTEGER": r"[+-]?[0-9]+",
    "FLOAT": _FLOAT,
    "NUMERIC": r"[+-]?[0-9]{1,29}(\.[0-9]{0,9})?",
    "BOOLEAN": r"(?i:true|false|t|f|yes|no|y|n|1|0)",
    "DATE": _DATE,
    "DATETIME": rf"{_DATE}([ T]{_TIME})?",
    "TIMESTAMP": rf"{_DATE}([ T]{_TIME})? ?(UTC|Z|[+-][0-9]{{1,2}}:[0-9]{{2}})?",
    "TIME": _TIME,
}
# What BigQuery reads too, and the emulator does not.
_UNSUPPORTED_FORMS = {
    "NUMERIC": r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?",
    "TIMESTAMP": r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?",
}


@dataclass(frozen=True)
class CsvFormat:
    """How a load job says that its files are written."""

    delimiter: str
    quote: str
    null_marker: str
    skipped_rows: int
    newlines_allowed: bool

    @classmethod
    def from_configuration(cls, load: dict[str, Any]) -> CsvFormat:
        """Reads the CSV options of the API's JobConfigurationLoad.

        Raises:
            ApiError: an option is wrong, or not supported.
        """
        if load.get("autodetect"):
            raise unsupported("autodetect for CSV; give the job a schema")
        if (load.get("encoding") or "UTF-8").upper() not in ("UTF-8", "UTF8"):
            raise unsupported(f"the encoding {load['encoding']}")
        for option in ("ignoreUnknownValues", "maxBadRecords"):
            if load.get(option):
                raise unsupported(f"{option} for CSV")
        delimiter = load.get("fieldDelimiter") or ","
        delimiter = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)
        quote = '"' if load.get("quote") is None else load["quote"]
        if len(delimiter) != 1 or len(quote) > 1 or not (delimiter + quote).isascii():
            raise unsupported("a fieldDelimiter or quote of more than one ASCII character")
        return cls(
            delimiter=delimiter,
            quote=quote,
            null_marker=load.get("nullMarker") or "",
            skipped_rows=int(load.get("skipLeadingRows") or 0),
            newlines_allowed=bool(load.get("allowQuotedNewlines")),
        )


@dataclass(frozen=True)
class CsvFile:
    """A CSV file on disk, the object it came from, and what its columns are."""

    uri: str
    path: Path
    format: CsvFormat
    columns: list[Field]

    def selection(self, target: list[Field]) -> tuple[list[str], str, dict[str, Any]]:
        """The columns that the file fills, and a SELECT with its parameters for them.

        Args:
            target: the table's columns, whose names are used.

        Raises:
            ApiError: the file is not such a CSV, or has columns that CSV cannot have.
        """
        for field in self.columns:
            if field["mode"] == "REPEATED" or field["type"] == "RECORD":
                raise invalid(f"Cannot load CSV data with a nested schema. Field: {field['name']}")
        expected, compressed = self._checked_rows()
        spelled = {field["name"].lower(): field["name"] for field in target}
        names = [str(spelled[field["name"].lower()]) for field in self.columns]
        values = [_value(position, field) for position, field in enumerate(self.columns)]
        source = self._source(compressed)
        # A row more or less than Python's reader found: the two understand the file differently.
        message = text_literal(
            f"The BigQuery {UNSUPPORTED_MARK} this CSV file: its quotes are ambiguous."
        )
        guard = (
            f"CASE WHEN (SELECT count(*) FROM {source}) <> $expected THEN error({message}) ELSE "
            "true END"
        )
        select = f"SELECT {', '.join(values)} FROM {source} WHERE {guard}"
        return names, select, {"path": str(self.path), "expected": expected}

    def _source(self, compressed: bool) -> str:
        columns = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(len(self.columns)))
        quote = text_literal(self.format.quote)
        return (
            f"read_csv($path, auto_detect=false, header=false, columns={{{columns}}}, "
            f"delim={text_literal(self.format.delimiter)}, quote={quote}, escape={quote}, "
            f"skip={self.format.skipped_rows}, nullstr={text_literal(self.format.null_marker)}, "
            "allow_quoted_nulls=false, null_padding=false, strict_mode=true, parallel=false, "
            f"max_line_size={_LONGEST_LINE}, compression='{'gzip' if compressed else 'none'}')"
        )

    def _checked_rows(self) -> tuple[int, bool]:
        """How many rows there are, and whether the file is compressed.

        Raises:
            ApiError: it is not a CSV file of these columns.
        """
        width, rows = len(self.columns), 0
        with self.path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP
        with self._reading(compressed) as reader:
            for number, row in enumerate(reader, start=1):
                if number <= self.format.skipped_rows:
                    continue
                if not row:
                    if width == 1:
                        raise unsupported("blank lines in a CSV file of one column")
                    continue
                if len(row) != width:
                    raise self._refused(
                        f"Too {'few' if len(row) < width else 'many'} values in row "
                        f"{number}: {len(row)}, and the schema has {width}"
                    )
                if not self.format.newlines_allowed and any("\n" in one for one in row):
                    raise self._refused(
                        f"Missing close quote character ({self.format.quote}) in row {number}; "
                        "a value with a line break needs allowQuotedNewlines"
                    )
                rows += 1
        return rows, compressed

    @contextmanager
    def _reading(self, compressed: bool) -> Iterator[Iterator[list[str]]]:
        csv.field_size_limit(_LONGEST_LINE)
        opened: Any = gzip.open if compressed else open
        with opened(self.path, "rt", encoding="utf-8", newline="") as text:
            try:
                yield csv.reader(
                    text,
                    delimiter=self.format.delimiter,
                    quotechar=self.format.quote or None,
                    quoting=csv.QUOTE_MINIMAL if self.format.quote else csv.QUOTE_NONE,
                    strict=True,
                )
            except (csv.Error, UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise self._refused(str(error)) from error

    def _refused(self, detail: str) -> ApiError:
        return invalid(
            "Error while reading data, error message: CSV processing encountered too many errors, "
            f"giving up. {detail}. File: {self.uri}"
        )


def _value(position: int, field: Field) -> str:
    """A column's value in its type, or an error that quotes what cannot be read."""
    text = quoted(f"c{position}")
    kind = field["type"]
    if kind == "STRING":
        return text
    if kind == "BYTES":
        return f"from_base64({text})"
    cast = f"TRY_CAST({text} AS {duckdb_type(field)})"
    if kind == "BOOLEAN":
        cast = f"lower({text}) IN ('true', 't', 'yes', 'y', '1')"
    if kind == "TIMESTAMP":
        # Without a zone it is UTC, which is the emulator's own.
        cast = f"TRY_CAST(regexp_replace({text}, ' ?(UTC|Z)$', '') AS TIMESTAMPTZ)"
    found = f"CASE WHEN regexp_full_match({text}, {text_literal(_FORMS[kind])}) THEN {cast} END"
    if kind == "FLOAT":
        finite = f"isinf({cast}) AND NOT contains(lower({text}), 'inf')"
        found = f"CASE WHEN {finite} THEN NULL ELSE {found} END"
    refusal = (
        f"error('Could not parse ''' || {text} || ''' as {standard_name(field)} for field "
        f"{_literal_part(field['name'])} (position {position})')"
    )
    if kind in _UNSUPPORTED_FORMS:
        other = f"error('The BigQuery {UNSUPPORTED_MARK} the CSV {kind} ' || {text} || '.')"
        form = text_literal(_UNSUPPORTED_FORMS[kind])
        refusal = f"CASE WHEN regexp_full_match({text}, {form}) THEN {other} ELSE {refusal} END"
    return (
        f"CASE WHEN {text} IS NULL THEN NULL ELSE coalesce({found}, "
        f"CAST({refusal} AS {duckdb_type(field)})) END"
    )


def _literal_part(name: str) -> str:
    return text_literal(name)[1:-1]
