"""A store as somebody would add it, in one room: DuckDB, a file on disk. Nothing else is edited."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import ClassVar

import duckdb
import pyarrow as pa
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.files import TripParquet
from taxi_platform.stores.answers import fetched
from taxi_platform.stores.base import (
    Answer,
    Load,
    MonthQuery,
    Relation,
    Report,
    SqlDialect,
    StoreType,
    TableStore,
    View,
)
from taxi_platform.stores.relations import with_clause
from taxi_platform.stores.settings import StoreSettings
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import chosen_schema, trip_schema
from taxi_platform.trips.totals import MonthTotals, cents_expression, dollar_columns

_SQL_TYPES = {
    pa.date32(): "DATE",
    pa.float64(): "DOUBLE",
    pa.int16(): "SMALLINT",
    pa.int64(): "BIGINT",
    pa.string(): "VARCHAR",
}


class DuckDBSettings(StoreSettings):
    """Where the file is."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAXI_DUCKDB_")

    path: Path = Field(Path("trips.duckdb"), description="The file.")
    token: SecretStr = Field(SecretStr(""), description="A secret that the store asks for.")


@contextmanager
def _errors(subject: object) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise PermanentStoreError(f"{subject}: DuckDB: {error}") from error


class DuckDBStore:
    """One file of tables; a month is replaced in one transaction."""

    def __init__(self, chosen: DuckDBSettings) -> None:
        if not chosen.token.get_secret_value():
            raise PermanentStoreError("trips: DuckDB: no token: set TAXI_DUCKDB_TOKEN")
        self._token = chosen.token.get_secret_value()
        self._path = chosen.path

    @property
    def address(self) -> str:
        return str(self._path)

    def table_name(self, table: str) -> str:
        return table

    def quoted_name(self, table: str) -> str:
        return f'"{table}"'

    def replace_month(self, trips: TripParquet, report: Report) -> Load:
        month = trips.month
        report(f"{trips.rows} rows")
        source = f"read_parquet('{trips.path}')"
        return self._replace(f"{month.color}_trips", month.month, trip_schema(month.color), source)

    def replace_rows(self, table: str, month: date | None, rows: pa.RecordBatchReader) -> Load:
        return self._replace(table, month, rows.schema, "incoming", rows)

    def replace_by_queries(
        self, month: date, relations: Mapping[str, Relation], queries: Sequence[MonthQuery]
    ) -> list[Load]:
        loads = []
        for query in queries:
            columns = [f"CAST({f.name} AS {_SQL_TYPES[f.type]}) AS {f.name}" for f in query.schema]
            columns[-1] = f"DATE '{month}' AS data_file_month"
            select = f"SELECT {', '.join(columns)} FROM ({query.sql}) AS answer"
            source = f"({with_clause(relations, select)})"
            loads.append(self._replace(query.table, month, query.schema, source))
        return loads

    def existing_tables(self, names: Sequence[str]) -> set[str]:
        with _errors("tables"), self._connect() as connection:
            return set(names) & {row[0] for row in connection.execute("SHOW TABLES").fetchall()}

    def ensure_view(self, view: View) -> None:
        with _errors(view.name), self._connect() as connection:
            connection.execute(f"CREATE OR REPLACE VIEW {view.name} AS {view.sql}")

    def totals(self, month: TripMonth) -> MonthTotals:
        names = dollar_columns(month.color)
        sums = [f"sum({cents_expression(name, 'BIGINT')})" for name in names]
        query = (
            f"SELECT {', '.join(['count(*)', *sums])} FROM {month.color}_trips "
            f"WHERE data_file_month = DATE '{month.month}'"
        )
        with _errors(month), self._connect() as connection:
            rows, *cents = connection.execute(query).fetchone() or (0,)
        return MonthTotals(rows, {n: int(c or 0) for n, c in zip(names, cents, strict=True)})

    def stream_month(
        self, month: TripMonth, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        schema = chosen_schema(month.color, names)
        rows = self._read(f"{month.color}_trips", month.month, schema.names)
        return rows.cast(schema).to_reader()

    def stream_rows(
        self, table: str, month: date | None, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        return self._read(table, month, names or ["*"]).to_reader()

    @contextmanager
    def query(self, statement: str, limit: int | None) -> Iterator[Answer]:
        with _errors("query"), self._connect() as connection:
            schema = connection.sql(statement).limit(0).to_arrow_table().schema
            yield Answer(schema, fetched(connection.execute(statement).fetchmany, limit))

    def check_access(self) -> None:
        with _errors("trips"), self._connect() as connection:
            connection.execute("SELECT 1")

    def has_table(self, color: str) -> bool:
        with _errors(color), self._connect() as connection:
            tables = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
        return f"{color}_trips" in tables

    def loaded_months(self, color: str) -> set[TripMonth]:
        if not self.has_table(color):
            return set()
        with _errors(color), self._connect() as connection:
            months = connection.execute(f"SELECT DISTINCT data_file_month FROM {color}_trips")
            return {TripMonth(color, month) for (month,) in months.fetchall()}

    def leftovers(self, *, drop: bool = False) -> list[str]:  # noqa: ARG002
        return []

    def _connect(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self._path))

    def _read(self, table: str, month: date | None, names: Sequence[str]) -> pa.Table:
        which = f" WHERE data_file_month = DATE '{month}'" if month else ""
        with _errors(table), self._connect() as connection:
            query = f"SELECT {', '.join(names)} FROM {table}{which}"
            return connection.sql(query).to_arrow_table()

    def _replace(
        self,
        table: str,
        month: date | None,
        schema: pa.Schema,
        source: str,
        incoming: pa.RecordBatchReader | None = None,
    ) -> Load:
        which = f" WHERE data_file_month = DATE '{month}'" if month else ""
        with _errors(table), self._connect() as connection:
            connection.register("shape", schema.empty_table())
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table} AS FROM shape")
            if incoming is not None:
                connection.register("incoming", incoming)
            connection.begin()
            connection.execute(f"DELETE FROM {table}{which}")
            connection.execute(f"INSERT INTO {table} BY NAME FROM {source}")
            connection.commit()
            (rows,) = connection.execute(f"SELECT count(*) FROM {table}{which}").fetchone() or (0,)
        return Load(table, rows, details={"file": str(self._path)})


@contextmanager
def _open(chosen: DuckDBSettings) -> Iterator[TableStore]:
    yield DuckDBStore(chosen)


DUCKDB = StoreType(
    name="duckdb",
    label="DuckDB",
    description="The month in a file of DuckDB.",
    kinds=frozenset({"duckdb"}),
    reads=TripParquet,
    settings=DuckDBSettings,
    open=_open,
    dialect=SqlDialect(
        weekday="isodow({time})",
        hour="hour({time})",
        start_hour="date_trunc('hour', {time})",
        duration="CAST(round(epoch({end} - {start})) AS BIGINT)",
        is_plausible="{duration} BETWEEN 60 AND 14400",
        seconds="CAST({durations} AS BIGINT)",
        text="CAST({value} AS VARCHAR)",
        digest="substr(md5({text}), 1, 10)",
        number="CAST(concat('0x', {digest}) AS BIGINT)",
    ),
)
