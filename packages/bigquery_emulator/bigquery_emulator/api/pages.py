"""Pages of rows: of a query's result, of a table or of a partition.

How a value is written is in rows.py.
"""
# ruff: noqa: S608 - SQL is put together from identifiers quoted where they are made

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from bigquery_emulator.api.rows import readable, row_encoder
from bigquery_emulator.errors import invalid, not_found
from bigquery_emulator.storage.database import Cursor
from bigquery_emulator.storage.results import ResultTable

_DEFAULT_PAGE = 10_000


@dataclass(frozen=True)
class Page:
    """Which rows a request wants, and how written."""

    start: int
    most: int
    int64_timestamps: bool

    @classmethod
    def from_query(cls, query: dict[str, str]) -> Page:
        """Reads the query parameters of getQueryResults and tabledata.list.

        Raises:
            ApiError: a value is not a number, or the page token is not one of ours.
        """
        try:
            start = int(query.get("pageToken") or query.get("startIndex") or 0)
            most = int(query.get("maxResults") or _DEFAULT_PAGE)
        except ValueError as error:
            raise invalid(f"Invalid paging parameters: {error}") from error
        if "maxResults" in query and query["maxResults"] == "0":
            most = 0
        return cls(
            start=max(start, 0),
            most=min(most, 10 * _DEFAULT_PAGE),
            int64_timestamps=query.get("formatOptions.useInt64Timestamp", "").lower() == "true",
        )


def read_page(
    cursor: Cursor,
    table: ResultTable,
    page: Page,
    where: str = "true",
    parameters: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The rows of a page, in the API's form, with the token of the next page.

    Raises:
        ApiError: the rows have expired.
    """
    body: dict[str, Any] = {"totalRows": str(table.num_rows)}
    if page.most == 0 or not table.fields:
        return body
    try:
        rows = cursor.execute(
            f"SELECT {readable(table.fields)} FROM {table.relation} WHERE {where} "
            "LIMIT $most OFFSET $start",
            {"most": page.most, "start": page.start, **(parameters or {})},
        ).fetchall()
    except duckdb.CatalogException as error:
        raise not_found("the results of this query, which have expired") from error
    encode = row_encoder(table.fields, int64_timestamps=page.int64_timestamps)
    body["rows"] = [encode(row) for row in rows]
    if page.start + len(rows) < table.num_rows and rows:
        body["pageToken"] = str(page.start + len(rows))
    return body
