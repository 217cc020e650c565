"""Scripts: what controls their steps, their temporary tables and transactions; and sessions."""

from typing import Any

import google.api_core.exceptions
import pytest
from google.cloud import bigquery

from tests.servers import PROJECT
from tests.trips import rows

pytestmark = pytest.mark.integration
BadRequest = google.api_core.exceptions.BadRequest


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            (
                "DECLARE n INT64 DEFAULT 2; IF n = 1 THEN SELECT 'one'; ELSEIF n = 2 THEN "
                "SELECT 'two'; ELSE SELECT 'many'; END IF"
            ),
            [("two",)],
        ),
        ("IF NULL THEN SELECT 1; ELSE SELECT 2; END IF;", [(2,)]),
        (
            (
                "DECLARE n INT64; SET n = IF(TRUE, 3, 4); "
                "IF CASE WHEN n = 3 THEN TRUE END THEN SELECT n; END IF"
            ),
            [(3,)],
        ),
        (
            (
                "DECLARE n, total INT64 DEFAULT 0; WHILE n < 5 DO SET n = n + 1; "
                "IF MOD(n, 2) = 0 THEN CONTINUE; END IF; SET total = total + n; END WHILE; "
                "SELECT total, n"
            ),
            [(9, 5)],
        ),
        (
            (
                "DECLARE n INT64 DEFAULT 0; LOOP SET n = n + 1; IF n > 3 THEN LEAVE; END IF; "
                "END LOOP; SELECT n"
            ),
            [(4,)],
        ),
        (
            "DECLARE n INT64 DEFAULT 0; REPEAT SET n = n + 1; UNTIL n >= 3 END REPEAT; SELECT n",
            [(3,)],
        ),
        (
            (
                "DECLARE n INT64 DEFAULT 1; BEGIN DECLARE m INT64 DEFAULT 5; SET n = n + m; END; "
                "BEGIN DECLARE m INT64 DEFAULT 7; SET n = n + m; END; SELECT n"
            ),
            [(13,)],
        ),
        (
            (
                "BEGIN SELECT 1 / 0; SELECT 'not reached'; EXCEPTION WHEN ERROR THEN "
                "SELECT 'handled'; END"
            ),
            [("handled",)],
        ),
        ("SELECT 1; RETURN; SELECT 2", [(1,)]),
        ("DECLARE s STRING DEFAULT 'SELECT ' || '7; '; EXECUTE IMMEDIATE s", [(7,)]),
        ("SELECT ';' AS semicolon, 'END IF' -- ; no end\n;", [(";", "END IF")]),
        ("DECLARE n NUMERIC(5, 2) DEFAULT 1.005; SELECT CAST(n AS STRING)", [("1.01",)]),
    ],
)
def test_steps_are_controlled(
    client: bigquery.Client, script: str, expected: list[tuple[Any, ...]]
) -> None:
    assert rows(client, script) == expected


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("IF TRUE THEN SELECT 1;", "Expected keyword END but got end of script"),
        ("IF TRUE SELECT 1; END IF", "Expected keyword THEN but got ;"),
        ("IF 1 THEN SELECT 1; END IF", "IF condition should return type BOOL, but returns INT64"),
        ("SELECT 1;\nSELECT FROM;", r"Syntax error.* at \[2:"),
        ("BREAK", "only allowed in a loop"),
        ("BEGIN DECLARE m INT64; END; SELECT m", "Unrecognized name: m"),
        ("SELECT 1; DECLARE x INT64", "allowed only at the start"),
        ("WHILE TRUE DO SELECT 1 / 0; END WHILE", "division by zero"),
        ("DECLARE s STRING(2); SET s = 'abc'", r"STRING\(2\) has maximum length 2"),
        ("SELECT 1; COMMIT TRANSACTION", "needs an active transaction"),
        ("BEGIN TRANSACTION", "only in scripts or sessions"),
        ("BEGIN TRANSACTION; BEGIN TRANSACTION", "while another one is active"),
        ("CREATE TEMP TABLE t AS SELECT 1 AS a", "requires a script or session"),
        ("CREATE TEMP TABLE d.t AS SELECT 1 AS a; SELECT 1", "without a dataset"),
        ("CALL BQ.ABORT_SESSION()", "needs a session"),
    ],
)
def test_wrong_scripts_are_refused(client: bigquery.Client, script: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        client.query_and_wait(script)


@pytest.mark.parametrize(
    "script",
    [
        "FOR one IN (SELECT 1) DO SELECT one; END FOR",
        "RAISE USING MESSAGE = 'x'",
        "CASE 1 WHEN 1 THEN SELECT 1; END CASE",
        "EXECUTE IMMEDIATE 'SELECT ?' USING 1",
        "CALL d.procedure()",
        "ASSERT 1 = 1",
    ],
)
def test_other_steps_are_not_supported(client: bigquery.Client, script: str) -> None:
    with pytest.raises(google.api_core.exceptions.MethodNotImplemented, match="does not support"):
        client.query_and_wait(script)


def test_a_temporary_table_ends_with_its_script(client: bigquery.Client, dataset: str) -> None:
    script = f"""
        CREATE TEMP TABLE picked AS SELECT x FROM UNNEST([1, 2, 3]) AS x;
        DELETE FROM picked WHERE x = 2;
        INSERT INTO _SESSION.picked VALUES (9);
        CREATE TABLE {dataset}.kept AS SELECT * FROM picked;
        DROP TABLE IF EXISTS {dataset}.absent;
        SELECT SUM(x) FROM picked
        """
    assert rows(client, script) == [(13,)]

    assert rows(client, f"SELECT COUNT(*) FROM {dataset}.kept") == [(3,)]
    with pytest.raises(BadRequest, match="must be qualified"):
        client.query_and_wait("SELECT * FROM picked")
    assert {one.dataset_id for one in client.list_datasets(include_all=True)} >= {dataset}
    assert not [
        one.dataset_id
        for one in client.list_datasets(include_all=True)
        if one.dataset_id.startswith("_")
    ]


def test_a_temporary_table_hides_one_of_the_default_dataset(
    client: bigquery.Client, dataset: str
) -> None:
    client.query_and_wait(f"CREATE TABLE {dataset}.t AS SELECT 1 AS a")
    configuration = bigquery.QueryJobConfig(default_dataset=f"{PROJECT}.{dataset}")

    script = "CREATE TEMP TABLE t AS SELECT 2 AS a; SELECT a FROM t"
    found = client.query_and_wait(script, job_config=configuration)

    assert [tuple(row) for row in found] == [(2,)]
    assert rows(client, f"SELECT a FROM {dataset}.t") == [(1,)]


@pytest.mark.parametrize(("end", "held"), [("COMMIT TRANSACTION", 2), ("ROLLBACK", 1)])
def test_a_transaction_is_kept_or_undone(
    client: bigquery.Client, dataset: str, end: str, held: int
) -> None:
    table = f"{dataset}.t"
    client.query_and_wait(f"CREATE TABLE {table} AS SELECT 1 AS a")

    within = rows(
        client,
        f"BEGIN TRANSACTION; INSERT INTO {table} VALUES (5); DELETE FROM {table} WHERE a = 1; "
        f"INSERT INTO {table} VALUES (6); SELECT COUNT(*) FROM {table}; {end}",
    )

    assert within == [(2,)]
    assert rows(client, f"SELECT COUNT(*) FROM {table}") == [(held,)]


def test_an_error_undoes_the_transaction(client: bigquery.Client, dataset: str) -> None:
    client.query_and_wait(f"CREATE TABLE {dataset}.t AS SELECT 1 AS a")

    with pytest.raises(BadRequest, match="division by zero"):
        client.query_and_wait(
            f"BEGIN TRANSACTION; DELETE FROM {dataset}.t WHERE TRUE; SELECT 1 / 0; COMMIT"
        )
    assert rows(client, f"SELECT COUNT(*) FROM {dataset}.t") == [(1,)]
    client.query_and_wait(f"DELETE FROM {dataset}.t WHERE TRUE")


def session_of(client: bigquery.Client, sql: str) -> bigquery.QueryJobConfig:
    """A new session, that runs a query first."""
    job = client.query(sql, job_config=bigquery.QueryJobConfig(create_session=True))
    job.result()
    assert job.session_info is not None
    named = bigquery.ConnectionProperty("session_id", str(job.session_info.session_id))
    return bigquery.QueryJobConfig(connection_properties=[named])


def test_a_session_keeps_its_temporary_tables(client: bigquery.Client) -> None:
    session = session_of(client, "CREATE TEMP TABLE t AS SELECT 1 AS a")

    client.query_and_wait("INSERT INTO t VALUES (2)", job_config=session)
    found = client.query_and_wait("SELECT SUM(a) FROM t", job_config=session)
    assert [tuple(row) for row in found] == [(3,)]
    with pytest.raises(BadRequest, match="must be qualified"):
        client.query_and_wait("SELECT * FROM t")

    client.query_and_wait("CALL BQ.ABORT_SESSION()", job_config=session)
    with pytest.raises(BadRequest, match="not found or has ended"):
        client.query_and_wait("SELECT SUM(a) FROM t", job_config=session)


def test_a_sessions_transaction_is_seen_by_others_when_it_ends(
    client: bigquery.Client, dataset: str
) -> None:
    table = f"{dataset}.t"
    client.query_and_wait(f"CREATE TABLE {table} AS SELECT 1 AS a")
    session = session_of(client, "BEGIN TRANSACTION")
    other = session_of(client, "BEGIN TRANSACTION")

    client.query_and_wait(f"INSERT INTO {table} VALUES (2)", job_config=session)
    within = client.query_and_wait(f"SELECT COUNT(*) FROM {table}", job_config=session)

    assert [tuple(row) for row in within] == [(2,)]
    assert rows(client, f"SELECT COUNT(*) FROM {table}") == [(1,)]
    with pytest.raises(BadRequest, match="aborted due to concurrent update"):
        client.query_and_wait(f"DELETE FROM {table} WHERE a = 1", job_config=other)
    client.query_and_wait("COMMIT TRANSACTION; CALL BQ.ABORT_SESSION()", job_config=session)
    assert rows(client, f"SELECT COUNT(*) FROM {table}") == [(2,)]
    client.query_and_wait("ROLLBACK TRANSACTION; CALL BQ.ABORT_SESSION()", job_config=other)
