"""Clients from outside this project, configured only with the emulator's address."""

import base64
import datetime
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import dagster as dg
import google.auth.credentials
import pandas as pd
import pandas_gbq
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from dagster_gcp_pandas import BigQueryPandasIOManager
from google.cloud import bigquery

from tests.checking_proxy import checking_proxy
from tests.discovery_check import DiscoveryCheck
from tests.servers import PROJECT, Server
from tests.trips import moment, rows

pytestmark = [
    pytest.mark.integration,
    # What Google's client says where the gRPC client, which has no emulator, is not installed.
    pytest.mark.filterwarnings("ignore:BigQuery Storage module not found:UserWarning"),
    # The clients' use of what Google's client is going to change.
    pytest.mark.filterwarnings(
        "ignore:(Loading|Retrieving) DataFrames via:PendingDeprecationWarning"
    ),
    pytest.mark.filterwarnings("ignore:In a future major release:PendingDeprecationWarning"),
]


@pytest.fixture
def address(
    emulator: Server, answers: DiscoveryCheck, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The emulator's address in Google's variable; every answer is checked."""
    with checking_proxy(emulator.url, answers) as (url, complaints):
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", url)
        yield url
        assert not complaints


@pytest.fixture
def service_account(address: str) -> str:
    """A service account's key as Dagster takes it; its tokens are the emulator's."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "1",
        "private_key": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        "client_email": "trips@localhost",
        "token_uri": f"{address}/token",
    }
    return base64.b64encode(json.dumps(account).encode()).decode()


@pytest.fixture
def anonymous(address: str) -> google.auth.credentials.Credentials:
    return google.auth.credentials.AnonymousCredentials()


FRAME = pd.DataFrame(
    {
        "n": pd.array([1, 2, 3], "Int64"),
        "s": ["x", None, 'quoted "z",\nand more'],
        "f": [1.5, None, -2.0],
        "b": [True, False, True],
        "at": pd.Series(["2024-01-01T10:00:00.25", None, "2024-01-02"], dtype="datetime64[us]"),
        "d": [datetime.date(2024, 1, 1), None, datetime.date(2024, 1, 3)],
    }
)


def values(frame: pd.DataFrame) -> list[list[Any]]:
    return [
        [None if pd.isna(value) else value for value in row]
        for row in frame.sort_values("n").astype(object).to_numpy().tolist()
    ]


MONTHS = dg.MonthlyPartitionsDefinition("2024-01-01")


@dg.asset
def zones() -> pd.DataFrame:
    return FRAME[["n", "s", "f", "at"]]


@dg.asset(ins={"zones": dg.AssetIn(metadata={"columns": ["n"]})})
def numbers(zones: pd.DataFrame) -> pd.DataFrame:
    return zones.rename(columns={"n": "doubled"}) * 2


@dg.asset(
    partitions_def=MONTHS, metadata={"partition_expr": "started"}, config_schema={"rows": int}
)
def monthly(context: dg.AssetExecutionContext) -> pd.DataFrame:
    count = context.op_execution_context.op_config["rows"]
    month = pd.Timestamp(context.partition_key, tz="UTC")
    return pd.DataFrame({"started": [month] * count, "n": range(count)})


@dg.asset(partitions_def=MONTHS, metadata={"partition_expr": "started"})
def monthly_sum(monthly: pd.DataFrame) -> pd.DataFrame:
    return monthly.groupby("started", as_index=False).sum()


def test_dagsters_io_manager_stores_and_loads_tables(
    client: bigquery.Client, service_account: str, dataset: str
) -> None:
    io_manager = BigQueryPandasIOManager(
        project=PROJECT, dataset=dataset, gcp_credentials=service_account
    )
    for _ in range(2):  # the second time the tables are emptied first
        assert dg.materialize([zones, numbers], resources={"io_manager": io_manager}).success

    assert rows(client, f"SELECT n, s, f FROM {dataset}.zones ORDER BY n") == [
        (1, "x", 1.5),
        (2, None, None),
        (3, 'quoted "z",\nand more', -2.0),
    ]
    assert rows(client, f"SELECT SUM(doubled), COUNT(*) FROM {dataset}.numbers") == [(12, 3)]


def test_dagsters_io_manager_replaces_and_loads_one_partition(
    client: bigquery.Client, service_account: str, dataset: str
) -> None:
    io_manager = BigQueryPandasIOManager(
        project=PROJECT, dataset=dataset, gcp_credentials=service_account
    )

    for key, count in [("2024-01-01", 3), ("2024-02-01", 5), ("2024-01-01", 4)]:
        done = dg.materialize(
            [monthly],
            partition_key=key,
            resources={"io_manager": io_manager},
            run_config={"ops": {"monthly": {"config": {"rows": count}}}},
        )
        assert done.success
    sql = f"SELECT EXTRACT(MONTH FROM started), COUNT(*) FROM {dataset}.monthly GROUP BY 1"
    assert sorted(rows(client, sql)) == [(1, 4), (2, 5)]

    upstream = dg.AssetSpec("monthly", metadata={"partition_expr": "started"})
    done = dg.materialize(
        [monthly_sum, upstream.replace_attributes(partitions_def=MONTHS)],
        partition_key="2024-02-01",
        resources={"io_manager": io_manager},
    )
    assert done.success
    assert rows(client, f"SELECT n FROM {dataset}.monthly_sum") == [(10,)]


@pytest.mark.parametrize("api_method", ["load_parquet", "load_csv"])
def test_pandas_gbq_writes_appends_replaces_and_reads(
    anonymous: google.auth.credentials.Credentials, dataset: str, api_method: str
) -> None:
    given: dict[str, Any] = {"project_id": PROJECT, "credentials": anonymous}
    table = f"{dataset}.frame"

    def write(frame: pd.DataFrame, if_exists: str) -> None:
        pandas_gbq.to_gbq(
            frame, table, if_exists=if_exists, api_method=api_method, progress_bar=False, **given
        )

    def read(query: str, **more: Any) -> pd.DataFrame:
        return pandas_gbq.read_gbq(query, progress_bar_type=None, **given, **more)

    write(FRAME, "fail")
    with pytest.raises(pandas_gbq.gbq.TableCreationError):
        write(FRAME, "fail")
    found = read(f"SELECT * FROM {table}")
    assert values(found) == values(FRAME)
    assert values(read(table)) == values(FRAME)

    write(FRAME.assign(n=FRAME["n"] + 10), "append")
    assert read(f"SELECT COUNT(*) AS rows_held, SUM(n) AS total FROM {table}").values.tolist() == [
        [6, 42]
    ]
    assert len(read(f"SELECT * FROM {table}", max_results=4)) == 4

    write(FRAME[["n", "f"]].head(1), "replace")
    assert values(read(table)) == [[1, 1.5]]
    with pytest.raises(pandas_gbq.exceptions.GenericGBQException, match="Not found: Table"):
        read(f"SELECT * FROM {dataset}.absent")


def test_sqlalchemy_creates_changes_reads_and_reflects(
    anonymous: google.auth.credentials.Credentials, dataset: str
) -> None:
    made = bigquery.Client(
        project=PROJECT,
        credentials=anonymous,
        default_query_job_config=bigquery.QueryJobConfig(default_dataset=f"{PROJECT}.{dataset}"),
    )
    engine = sa.create_engine(
        f"bigquery://{PROJECT}/{dataset}?user_supplied_client=true",
        connect_args={"client": made, "prefer_bqstorage_client": False},
    )
    tables = sa.MetaData()
    trips = sa.Table(
        "trips",
        tables,
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String, comment="what it is called"),
        sa.Column("fare", sa.Float),
        sa.Column("toll", sa.Numeric),
        sa.Column("m", sa.Date),
        sa.Column("at", sa.DateTime),
        sa.Column("paid", sa.Boolean),
        bigquery_description="all trips",
        bigquery_time_partitioning=bigquery.TimePartitioning(field="m", type_="MONTH"),
        bigquery_clustering_fields=["name"],
    )
    tables.create_all(engine)
    january, at = datetime.date(2024, 1, 1), moment("2024-01-01T03:00:00")
    row = {"fare": 1.5, "toll": Decimal("0.25"), "m": january, "at": at, "paid": True}
    with engine.begin() as connection:
        inserted = [{"id": 1, "name": "a", **row}, {"id": 2, "name": "b%", **row, "fare": None}]
        assert connection.execute(trips.insert(), inserted).rowcount == 2
        connection.execute(sa.insert(trips).values([{"id": 3}, {"id": 4, "name": "d"}]))
        connection.execute(trips.update().where(trips.c.id == 3).values(fare=9))
        assert connection.execute(trips.delete().where(trips.c.id == 4)).rowcount == 1

    with engine.connect() as connection:
        found = connection.execute(sa.select(trips).order_by(trips.c.id)).fetchall()
        grouped = connection.execute(
            sa.select(
                sa.case((trips.c.name.like("a%"), "A"), else_="other").label("kind"),
                sa.func.count(),
                sa.func.sum(sa.func.coalesce(trips.c.fare, 0.5)).label("total"),
            )
            .where(trips.c.id.in_([1, 2, 3]), trips.c.id.between(1, 3))
            .group_by("kind")
            .order_by(sa.desc("total"))
            .limit(5)
        ).fetchall()
        other = trips.alias("other")
        latest = sa.select(sa.func.max(trips.c.id).label("id")).cte("latest")
        joined = connection.execute(
            sa.select(other.c.id, sa.func.row_number().over(order_by=other.c.id)).join(
                latest, other.c.id == latest.c.id
            )
        ).fetchall()

    assert [tuple(row) for row in found] == [
        (1, "a", 1.5, Decimal("0.25"), january, at, True),
        (2, "b%", None, Decimal("0.25"), january, at, True),
        (3, None, 9.0, None, None, None, None),
    ]
    assert [tuple(row) for row in grouped] == [("other", 2, 9.5), ("A", 1, 1.5)]
    assert [tuple(row) for row in joined] == [(3, 1)]
    inspector = sa.inspect(engine)
    assert dataset in inspector.get_schema_names()
    assert (inspector.get_table_names(), inspector.get_view_names()) == (["trips"], [])
    assert inspector.get_table_comment("trips") == {"text": "all trips"}
    assert not inspector.has_table("absent")
    reflected = sa.Table("trips", sa.MetaData(), autoload_with=engine)
    assert [(column.name, column.nullable) for column in reflected.columns] == [
        (column.name, column.nullable) for column in trips.columns
    ]
    assert reflected.c.name.comment == "what it is called"
    tables.drop_all(engine)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()
    made.close()


def test_pandas_reads_and_writes_through_sqlalchemy(
    anonymous: google.auth.credentials.Credentials, dataset: str
) -> None:
    made = bigquery.Client(
        project=PROJECT,
        credentials=anonymous,
        default_query_job_config=bigquery.QueryJobConfig(default_dataset=f"{PROJECT}.{dataset}"),
    )
    engine = sa.create_engine(
        f"bigquery://{PROJECT}/{dataset}?user_supplied_client=true",
        connect_args={"client": made, "prefer_bqstorage_client": False},
    )
    frame = FRAME[["n", "s", "f"]]

    for _ in range(2):
        frame.to_sql("frame", engine, index=False, if_exists="replace", method="multi")

    assert values(pd.read_sql("SELECT * FROM frame", engine)) == values(frame)
    engine.dispose()
    made.close()
