"""The emulator's engine in the tests' own process, for many queries in seconds.

It runs queries as the query jobs do, without HTTP and without keeping the jobs.
"""

import datetime
import math
from pathlib import Path
from typing import Any

from bigquery_emulator.api.rows import readable
from bigquery_emulator.jobs.query_request import QueryRequest
from bigquery_emulator.jobs.statement import Translation
from bigquery_emulator.sql.macros import all_macros
from bigquery_emulator.storage.column_types import Field, column_definition
from bigquery_emulator.storage.database import Storage


class Engine:
    """One store, to be asked."""

    def __init__(self, folder: Path) -> None:
        self._storage = Storage(folder, all_macros())

    def close(self) -> None:
        """Closes the store."""
        self._storage.close()

    def answer(self, sql: str) -> list[list[str]]:
        """The rows of a query, each value as GoogleSQL's documentation shows it.

        Raises:
            ApiError: the query is refused, or not supported.
        """
        configuration = {"query": sql, "useLegacySql": False}
        request = QueryRequest.from_configuration(configuration, "project")
        with self._storage.transaction() as cursor:
            translation = Translation(cursor, request, "US")
            fields = translation.described(translation.statement)
            translated = translation.sql(translation.statement)
            columns = ", ".join(column_definition(field) for field in fields)
            cursor.execute(f"CREATE OR REPLACE TEMP TABLE answer ({columns})")
            translation.execute(f"INSERT INTO temp.answer {translated}")
            rows = cursor.execute(f"SELECT {readable(fields)} FROM temp.answer").fetchall()
        return [
            [shown(value, field) for value, field in zip(row, fields, strict=True)] for row in rows
        ]


def shown(value: Any, field: Field) -> str:
    """A value as text."""
    if value is None:
        return "NULL"
    if field["mode"] == "REPEATED":
        element = field | {"mode": "NULLABLE"}
        return f"[{', '.join(shown(one, element) for one in value)}]"
    kind = field["type"]
    if kind == "RECORD":
        parts = zip(value.values(), field["fields"], strict=True)
        return f"{{{', '.join(shown(one, part) for one, part in parts)}}}"
    if kind == "BYTES":
        return "".join(chr(one) if 32 <= one < 127 else f"\\x{one:02x}" for one in value)
    if kind == "FLOAT" and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if kind == "TIMESTAMP":
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        moment = epoch + datetime.timedelta(microseconds=value)
        return moment.isoformat(" ").removesuffix(":00")
    if kind == "DATETIME":
        return str(value.isoformat(" "))
    if kind == "NUMERIC":
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value).lower() if kind == "BOOLEAN" else str(value)
