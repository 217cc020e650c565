"""The statement of a query job on its way to DuckDB.

What SELECT, DML and DDL share; they are run in query.py, dml.py and ddl.py.
"""

from __future__ import annotations

from typing import Any

import duckdb
from sqlglot import exp

from bigquery_emulator.errors import invalid_query
from bigquery_emulator.jobs.query_request import QueryRequest
from bigquery_emulator.sql.duckdb_errors import raise_for_duckdb
from bigquery_emulator.sql.metadata_views import metadata_view
from bigquery_emulator.sql.nan_checks import check_nan_comparisons
from bigquery_emulator.sql.parameters import QueryParameters
from bigquery_emulator.sql.tables import TableNames
from bigquery_emulator.sql.translation import Translator, duckdb_sql
from bigquery_emulator.storage.column_types import Field, field_of_duckdb
from bigquery_emulator.storage.database import Cursor
from bigquery_emulator.storage.partition_sizes import partition_sizes


class Translation:
    """One query's statement on its way to DuckDB, in one transaction."""

    def __init__(self, cursor: Cursor, request: QueryRequest, location: str) -> None:
        self.cursor = cursor
        self.location = location
        self._original = request.statement
        self.statement = request.statement.copy()
        self.tables = TableNames(cursor, request.project, request.default, metadata_view, location)
        self._parameters = QueryParameters(request.parameters)
        self._translator = Translator(self.tables, self._parameters)

    def sql(self, statement: exp.Expr) -> str:
        """A part of the statement as DuckDB's SQL; the part is used up."""
        return duckdb_sql(self._translator.translated(statement))

    @property
    def bound(self) -> dict[str, Any]:
        """The values of the parameters in what was translated so far."""
        return self._parameters.bound

    def described(self, sql: str) -> list[Field]:
        """The columns of a SELECT that was translated.

        Raises:
            ApiError: it does not bind, or has two columns of one name.
        """
        self.check_nans()
        rows = self.execute(f"DESCRIBE {sql}").fetchall()
        names = [str(row[0]).lower() for row in rows]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise invalid_query(
                "Duplicate column names in the result are not supported. Found duplicate(s): "
                + ", ".join(twice)
            )
        return [field_of_duckdb(str(row[0]), str(row[1])) for row in rows]

    def check_nans(self) -> None:
        """Refuses what depends on the tables that are read, after they were resolved.

        Raises:
            ApiError: the statement compares NaN values.
        """
        nan_columns = {
            name.lower()
            for table in self.tables.used.values()
            for size in partition_sizes(self.cursor, table)
            for name in size.nan_columns
        }
        check_nan_comparisons(self._original, nan_columns)

    def execute(self, sql: str) -> Cursor:
        """Runs what was translated, with the query's parameters.

        Raises:
            ApiError: DuckDB's complaint, as BigQuery would make it.
        """
        try:
            return self.cursor.execute(sql, self.bound)
        except duckdb.Error as error:
            raise_for_duckdb(error)

    def statistics(self, kind: str, **more: Any) -> dict[str, Any]:
        """The API's statistics of the query."""
        read = sum(
            size.num_bytes
            for table in self.tables.used.values()
            for size in partition_sizes(self.cursor, table)
        )
        names = [name.reference() for name in self.tables.used]
        query = {
            "statementType": kind,
            "totalBytesProcessed": str(read),
            "totalBytesBilled": "0",
            "cacheHit": False,
            **({"referencedTables": names} if names else {}),
            **more,
        }
        return {"totalBytesProcessed": str(read), "query": query}
