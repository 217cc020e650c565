"""A store of somebody's own, in one room: DuckDB, in a file. Registering ``STORE`` is all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from taxi_platform.errors import PermanentStoreError
from taxi_platform.landing.files import TripParquet
from taxi_platform.stores.base import Answer, Load, Report, StoreType, TableStore
from taxi_platform.stores.rows import storable, subject_of
from taxi_platform.stores.settings import StoreSettings
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import DATA_FILE_MONTH, chosen_schema
from taxi_platform.trips.totals import MonthTotals, cents_expression, dollar_columns


class DuckSettings(StoreSettings):
    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAXI_DUCK_")

    path: str = Field("taxi.duckdb", description="The database's file.")
    token: SecretStr = Field(SecretStr(""), description="A password; without it nothing is done.")


class DuckStore:
    def __init__(self, chosen: DuckSettings, connection: duckdb.DuckDBPyConnection) -> None:
        self._chosen = chosen
        self._connection = connection

    @property
    def address(self) -> str:
        return self._chosen.path

    def table_name(self, table: str) -> str:
        return table

    def replace_month(self, trips: TripParquet, report: Report = lambda _: None) -> Load:
        self.check_access()
        table = f"{trips.month.color}_trips"
        self._replace(table, trips.month.month, f"read_parquet('{trips.path}')")
        report(f"{trips.rows:,} rows")
        return Load(table, self.totals(trips.month).rows)

    def replace_rows(self, table: str, month: date | None, rows: pa.RecordBatchReader) -> Load:
        self.check_access()
        incoming = storable(subject_of(table, month), rows).read_all()
        self._connection.register("incoming", incoming)
        self._replace(table, month, "incoming")
        return Load(table, incoming.num_rows)

    def _replace(self, table: str, month: date | None, source: str) -> None:
        only = f" WHERE {DATA_FILE_MONTH} = DATE '{month}'" if month else ""
        self._connection.begin()
        self._connection.execute(
            f"CREATE TABLE IF NOT EXISTS {table} AS FROM {source} LIMIT 0;"
            f"DELETE FROM {table}{only}; INSERT INTO {table} BY NAME FROM {source}"
        )
        self._connection.commit()

    def totals(self, month: TripMonth) -> MonthTotals:
        names = dollar_columns(month.color)
        sums = [f"SUM({cents_expression(name, 'BIGINT')})" for name in names]
        found = self._connection.execute(
            f"SELECT COUNT(*), {', '.join(sums)} FROM {month.color}_trips "
            f"WHERE {DATA_FILE_MONTH} = DATE '{month.month}'"
        ).fetchone()
        assert found is not None
        return MonthTotals(
            found[0], {n: int(c or 0) for n, c in zip(names, found[1:], strict=True)}
        )

    def stream_month(
        self, month: TripMonth, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        schema = chosen_schema(month.color, names)
        rows = self.stream_rows(f"{month.color}_trips", month.month, schema.names).read_all()
        return rows.cast(schema).to_reader()

    def stream_rows(
        self, table: str, month: date | None, names: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        only = f" WHERE {DATA_FILE_MONTH} = DATE '{month}'" if month else ""
        columns = ", ".join(names or ["*"])
        found: pa.Table = self._connection.sql(
            f"SELECT {columns} FROM {table}{only}"
        ).to_arrow_table()
        return found.to_reader()

    def query(self, statement: str, limit: int) -> Answer:
        cursor = self._connection.execute(statement)
        rows = cursor.fetchmany(limit + 1)
        return Answer([c[0] for c in cursor.description or []], rows[:limit], len(rows) > limit)

    def check_access(self) -> None:
        if self._chosen.token.get_secret_value() == "wrong":
            raise PermanentStoreError(f"DuckDB at {self.address}: the token is wrong")

    def has_table(self, color: str) -> bool:
        tables: list[Any] = self._connection.execute("SHOW TABLES").fetchall()
        return (f"{color}_trips",) in tables

    def leftovers(self, *, drop: bool = False) -> list[str]:  # noqa: ARG002
        return []


@contextmanager
def _open(chosen: DuckSettings) -> Iterator[TableStore]:
    with duckdb.connect(chosen.path) as connection:
        yield DuckStore(chosen, connection)


STORE = StoreType(
    name="duck",
    label="DuckDB",
    description="The month in DuckDB, its rows replaced in one transaction.",
    kinds=frozenset({"duckdb"}),
    reads=TripParquet,
    settings=DuckSettings,
    open=_open,
)
