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
from bigquery_emulator.sql.parameters import QueryParameters
from bigquery_emulator.sql.parsing import understood
from bigquery_emulator.sql.queries import query_columns
from bigquery_emulator.sql.translation import Translator, duckdb_sql
from bigquery_emulator.sql.types import field_of_type
from bigquery_emulator.storage.column_types import Field
from bigquery_emulator.storage.database import Cursor
from bigquery_emulator.storage.partition_sizes import partition_sizes


class Translation:
    """One query's statement on its way to DuckDB, in one transaction."""

    def __init__(self, cursor: Cursor, request: QueryRequest, location: str) -> None:
        self.cursor = cursor
        self.location = location
        self.original = request.statement
        self.text = request.text
        self.session = request.session
        self.tables = request.table_names(cursor, location)
        self._parameters = QueryParameters(request.parameters)
        self._variables = request.variables
        self._translator = Translator(self.tables, self._parameters, request.variables)
        with understood():
            self.statement = self._translator.analyzed(request.statement.copy())

    def sql(self, statement: exp.Expr) -> str:
        """A part of the statement as DuckDB's SQL; the part is used up."""
        with understood():
            return duckdb_sql(self._translator.translated(statement))

    @property
    def bound(self) -> dict[str, Any]:
        """The values of the parameters in what was translated so far."""
        return self._parameters.bound

    def evaluated(self, resource: dict[str, Any]) -> dict[str, Any]:
        """A resource from OPTIONS, with the moment of its expiration computed.

        Raises:
            ApiError: it is no TIMESTAMP.
        """
        given = resource.get("expirationTime")
        if not isinstance(given, exp.Expr) or isinstance(given, exp.Null):
            return resource | ({"expirationTime": None} if "expirationTime" in resource else {})
        query = self._translator.analyzed(exp.select(given.copy()))
        if [kind.name for _, kind in query_columns(query)] != ["TIMESTAMP"]:
            raise invalid_query("expiration_timestamp must be a TIMESTAMP")
        row = self.execute(f"SELECT epoch_ms(({self.sql(query)}))").fetchone()
        moment = row[0] if row else None
        return resource | {"expirationTime": None if moment is None else str(moment)}

    def described(self, query: exp.Expr) -> list[Field]:
        """The columns of a query that was analyzed.

        Raises:
            ApiError: two columns have one name, or one has a type that no column has.
        """
        columns = query_columns(query)
        names = [name.lower() for name, _ in columns]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise invalid_query(
                "Duplicate column names in the result are not supported. Found duplicate(s): "
                + ", ".join(twice)
            )
        return [field_of_type(name, kind) for name, kind in columns]

    def run(self, sql: str) -> Cursor:
        """Runs what was translated; DuckDB's errors are the caller's."""
        return self.cursor.execute(sql, self.bound | self._variables.bound(sql))

    def execute(self, sql: str) -> Cursor:
        """Runs what was translated, with the query's parameters.

        Raises:
            ApiError: DuckDB's complaint, as BigQuery would make it.
        """
        try:
            return self.run(sql)
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
