"""Parquet files as load jobs see them: their columns, matched by name, and what each may become.

Only the conversions that BigQuery makes are made. Where it refuses a file, so does this, in its
words, because a file that loads here and not there is found out too late.
"""
# ruff: noqa: S608 - SQL is put together from identifiers quoted where they are made

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from bigquery_emulator.errors import ApiError, invalid, unsupported
from bigquery_emulator.storage.column_types import Field, duckdb_type, field_named, field_of_duckdb
from bigquery_emulator.storage.database import Cursor
from bigquery_emulator.storage.quoting import quoted

_PHYSICAL = {
    "STRING": "BYTE_ARRAY",
    "BYTES": "BYTE_ARRAY",
    "INTEGER": "INT64",
    "FLOAT": "DOUBLE",
    "NUMERIC": "NUMERIC",
    "BOOLEAN": "BOOL",
    "TIMESTAMP": "TIMESTAMP",
    "DATETIME": "DATETIME",
    "DATE": "DATE",
    "TIME": "TIME",
    "RECORD": "STRUCT",
}
# NUMERIC holds 29 digits before the point and 9 after it.
_NUMERIC_INTEGER_DIGITS = 29
_NUMERIC_SCALE = 9


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file on disk, and the object it came from."""

    uri: str
    path: Path
    columns: list[tuple[str, str]]

    @classmethod
    def opened(cls, cursor: Cursor, uri: str, path: Path) -> ParquetFile:
        """Reads the columns of a file.

        Raises:
            ApiError: it is not a Parquet file, or names a column twice.
        """
        try:
            rows = cursor.execute(
                "DESCRIBE SELECT * FROM read_parquet($path)", {"path": str(path)}
            ).fetchall()
        except (duckdb.InvalidInputException, duckdb.IOException) as error:
            raise invalid(
                "Error while reading data, error message: Input file is not in Parquet format. "
                f"File: {uri}"
            ) from error
        columns = [(str(row[0]), str(row[1])) for row in rows]
        names = [name.lower() for name, _ in columns]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise invalid(f"Duplicate field name in the Parquet file {uri}: {twice[0]}")
        return cls(uri, path, columns)

    def fields(self, wanted: list[Field], *, lists_inferred: bool) -> list[Field]:
        """The file's columns as BigQuery sees them when the job declares no schema.

        Args:
            wanted: the columns of the destination, which say whether a time without zone is a
                DATETIME or a TIMESTAMP.
            lists_inferred: whether the job asked for parquetOptions.enableListInference.

        Raises:
            ApiError: a column has a type that is not supported.
        """
        fields = []
        for name, kind in self.columns:
            field = field_of_duckdb(name, kind)
            _check_supported(field, kind, lists_inferred=lists_inferred)
            existing = field_named(wanted, name)
            if field["type"] == "DATETIME" and (existing is None or existing["type"] != "DATETIME"):
                field["type"] = "TIMESTAMP"
            fields.append(field)
        return fields

    def selection(
        self, target: list[Field], *, declared: bool, lists_inferred: bool, ignore_unknown: bool
    ) -> tuple[list[str], str, dict[str, Any]]:
        """The target's columns that the file fills, and a SELECT with its parameters for them.

        Args:
            target: the table's columns.
            declared: whether the job declared a schema, which changes BigQuery's words.
            lists_inferred: whether the job asked for parquetOptions.enableListInference.
            ignore_unknown: whether columns that the table lacks are passed over.

        Raises:
            ApiError: a column does not fit.
        """
        names, expressions = [], []
        for name, kind in self.columns:
            field = field_named(target, name)
            if field is None:
                if ignore_unknown:
                    continue
                raise invalid(
                    "Error while reading data, error message: Provided schema is not compatible "
                    f"with the file '{self.uri}'. Field '{name}' is missing in the schema."
                )
            read = field_of_duckdb(name, kind)
            _check_supported(read, kind, lists_inferred=lists_inferred)
            if not _fits(read, field):
                raise self._misfit(read, field, declared=declared)
            names.append(str(field["name"]))
            cast = f"CAST({quoted(name)} AS {duckdb_type(field)})"
            expressions.append(cast)
        if not names:
            raise invalid(f"The file {self.uri} has none of the table's columns")
        select = f"SELECT {', '.join(expressions)} FROM read_parquet($path)"
        return names, select, {"path": str(self.path)}

    def _misfit(self, read: Field, field: Field, *, declared: bool) -> ApiError:
        if not declared:
            return invalid(
                f"Field {field['name']} has changed type from {field['type']} to {read['type']}"
            )
        return invalid(
            f"Error while reading data, error message: Parquet column '{read['name']}' has type "
            f"{_PHYSICAL[read['type']]} which does not match the target cpp_type "
            f"{_PHYSICAL[field['type']]}. File: {self.uri}"
        )


def _check_supported(field: Field, kind: str, *, lists_inferred: bool) -> None:
    if "[]" in kind and not lists_inferred:
        raise unsupported(
            f"Parquet lists (column {field['name']}) without parquetOptions.enableListInference"
        )
    parsed = duckdb.sqltype(kind)
    if parsed.id == "decimal":
        digits = dict(parsed.children)
        precision, scale = int(str(digits["precision"])), int(str(digits["scale"]))
        if scale > _NUMERIC_SCALE or precision - scale > _NUMERIC_INTEGER_DIGITS:
            raise unsupported(f"the type BIGNUMERIC (column {field['name']})")


def _fits(read: Field, field: Field) -> bool:
    if (read["mode"] == "REPEATED") != (field["mode"] == "REPEATED"):
        return False
    if field["type"] == "RECORD" and read["type"] == "RECORD":
        parts = field["fields"]
        return [f["name"].lower() for f in read["fields"]] == [
            f["name"].lower() for f in parts
        ] and all(_fits(one, other) for one, other in zip(read["fields"], parts, strict=True))
    # A time without zone is what the table says it is.
    return bool(read["type"] == field["type"]) or (read["type"], field["type"]) == (
        "DATETIME",
        "TIMESTAMP",
    )
