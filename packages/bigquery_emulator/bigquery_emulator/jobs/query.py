"""Query jobs: run, each in one transaction with its outcome.

How a statement changes rows is in dml.py, how it creates and drops in ddl.py; what they share is in
statement.py.
"""
# ruff: noqa: S608 - SQL is put together from what sql/translation.py wrote

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.jobs.ddl import Definitions
from bigquery_emulator.jobs.dml import change_of, changed_rows, kind_of, target_of
from bigquery_emulator.jobs.job import Job, Jobs, Outcome
from bigquery_emulator.jobs.query_request import QueryRequest
from bigquery_emulator.jobs.script import ScriptRunner
from bigquery_emulator.jobs.sessions import Sessions
from bigquery_emulator.jobs.statement import Translation
from bigquery_emulator.sql.definitions import definition_kind
from bigquery_emulator.sql.parsing import DEFINITIONS
from bigquery_emulator.sql.scripts import creates_temporary
from bigquery_emulator.storage import catalog, segments
from bigquery_emulator.storage.catalog import TableName
from bigquery_emulator.storage.column_types import Field
from bigquery_emulator.storage.database import Cursor, Storage
from bigquery_emulator.storage.partition_sizes import measure
from bigquery_emulator.storage.results import ResultStore, ResultTable


@dataclass(frozen=True)
class QueryRunner:
    """Runs query jobs."""

    storage: Storage
    jobs: Jobs
    results: ResultStore
    sessions: Sessions

    def work(self, request: QueryRequest) -> Callable[[Job], Outcome | None]:
        """What a query job has to do."""
        statement = request.statement
        if request.script:
            scripts = ScriptRunner(self.storage, self.jobs, self.sessions, self.work)
            return lambda job: scripts.run(job, request)
        if isinstance(statement, DEFINITIONS):
            return lambda job: self._define(job, request)
        if not isinstance(statement, exp.Query):
            return lambda job: self._change(job, request)
        if request.destination:
            return lambda job: self._select_into_table(job, request)
        return lambda job: self._select(job, request)

    def dry_run(self, request: QueryRequest, location: str) -> Outcome:
        """Checks a query as far as can be without running it.

        Raises:
            ApiError: the query would fail.
        """
        if request.script:
            raise unsupported("dry runs of scripts")
        with self.storage.snapshot() as cursor:
            translation = Translation(cursor, request, location)
            statement = translation.statement
            if isinstance(statement, exp.Query):
                check_reading(translation)
                fields = translation.described(statement)
                translation.execute(f"EXPLAIN {translation.sql(statement)}")
                return Outcome(translation.statistics("SELECT", schema={"fields": fields}))
            if isinstance(statement, DEFINITIONS):
                return Outcome(translation.statistics(definition_kind(statement)))
            table = target_of(translation)
            if not isinstance(statement, exp.TruncateTable):
                change = change_of(translation, table, segments.template(table.id))
                translation.execute(f"EXPLAIN {change.sql}")
            return Outcome(translation.statistics(kind_of(statement)))

    def _select(self, job: Job, request: QueryRequest) -> Outcome:
        """Keeps the rows in an anonymous table, from which pages are read."""
        with self._translating(job, request) as translation:
            check_reading(translation)
            fields = translation.described(translation.statement)
            sql = translation.sql(translation.statement)
            if request.transaction is not None:
                return self._select_within(translation, fields, sql)
            relation = self.results.create(translation.cursor, fields)
            row = translation.execute(f"INSERT INTO {relation} {sql}").fetchone()
            result = ResultTable(relation, fields, int(row[0]) if row else 0)
            return Outcome(translation.statistics("SELECT"), result=result.entry())

    def _select_within(self, translation: Translation, fields: list[Field], sql: str) -> Outcome:
        """Keeps the rows of an open transaction where they are seen before its end."""
        rows: Any = translation.execute(sql).to_arrow_table()
        with self.storage.transaction() as cursor:
            relation = self.results.create(cursor, fields)
            cursor.register("rows_within", rows)
            cursor.execute(f"INSERT INTO {relation} SELECT * FROM rows_within")
            cursor.unregister("rows_within")
        result = ResultTable(relation, fields, rows.num_rows)
        return Outcome(translation.statistics("SELECT"), result=result.entry())

    def _select_into_table(self, job: Job, request: QueryRequest) -> None:
        """Writes the rows into the destination, in one transaction with the job's outcome.

        They are kept as a result first: the query may read the rows that are about to be replaced,
        and the client reads its own rows, whatever else the destination holds.
        """
        destination = request.destination
        assert destination is not None  # noqa: S101 - for the type checker
        if request.transaction is not None:
            raise unsupported("destination tables within transactions")
        with self.storage.locks.held_for(*destination.lock_key):
            outcome = self._select(job, request)
            rows = ResultTable.from_entry(outcome.result or {})
            with self.storage.transaction() as cursor:
                job.works_with(cursor)
                catalog.check_location(cursor, destination.name, job.name.location)
                target = destination.prepared(
                    cursor, rows.fields, self.storage.next_id, modes_count=False
                )
                names = [field["name"] for field in rows.fields]
                target.insert(names, f"SELECT * FROM {rows.relation}", {})
                target.finish()
                self.jobs.record(cursor, job, outcome)

    def _change(self, job: Job, request: QueryRequest) -> Outcome | None:
        """Runs DML, in one transaction with the job's outcome."""
        with self._locked_for_target(request), self._translating(job, request) as translation:
            cursor = translation.cursor
            kind = kind_of(translation.statement)
            table = target_of(translation)
            counts = changed_rows(translation, table, self.storage.next_id)
            # Before the new sizes are known: what was read is counted.
            statistics = translation.statistics(kind)
            if counts.total():
                measure(cursor, table, all_changed=kind in ("UPDATE", "MERGE"))
            statistics["query"] |= {
                "numDmlAffectedRows": str(counts.total()),
                "dmlStats": {
                    "insertedRowCount": str(counts["INSERT"]),
                    "updatedRowCount": str(counts["UPDATE"]),
                    "deletedRowCount": str(counts["DELETE"]),
                },
            }
            written = table.name.reference()
            return self._recorded(cursor, job, request, Outcome(statistics, written=written))

    def _define(self, job: Job, request: QueryRequest) -> Outcome | None:
        """Runs DDL, in one transaction with the job's outcome."""
        locks = self.storage.locks
        drops_dataset = isinstance(request.statement, exp.Drop)
        alone = drops_dataset and request.transaction is None
        lock = locks.held_for_everything() if alone else self._locked_for_target(request)
        with lock, self._translating(job, request) as translation:
            kind, more = Definitions(self.storage, translation).run()
            statistics = translation.statistics(kind, **more)
            written = more["ddlTargetTable"] if kind == "CREATE_TABLE_AS_SELECT" else None
            outcome = Outcome(statistics, written=written)
            return self._recorded(translation.cursor, job, request, outcome)

    def _recorded(
        self, cursor: Cursor, job: Job, request: QueryRequest, outcome: Outcome
    ) -> Outcome | None:
        """Records an outcome with the data; that of an open transaction is left to be recorded."""
        if request.transaction is not None:
            return outcome
        self.jobs.record(cursor, job, outcome)
        return None

    @contextmanager
    def _translating(self, job: Job, request: QueryRequest) -> Iterator[Translation]:
        if request.transaction is not None:
            job.works_with(request.transaction)
            yield Translation(request.transaction, request, job.name.location)
            return
        with self.storage.transaction() as cursor:
            job.works_with(cursor)
            yield Translation(cursor, request, job.name.location)

    @contextmanager
    def _locked_for_target(self, request: QueryRequest) -> Iterator[None]:
        if creates_temporary(request.statement):  # no other job sees it
            yield
            return
        target = request.statement.find(exp.Table)
        assert target is not None  # noqa: S101 - DML and DDL name a table or a dataset first
        with request.reading(self.storage) as cursor:
            names = request.table_names(cursor)
            name = names.name_of(target) if target.name else TableName("", target.db, "")
        key = (name.project, name.dataset, name.table)
        if request.session is not None and request.transaction is not None:
            request.session.write(self.storage, key)
            yield
            return
        with self.storage.locks.held_for(*key):
            yield


def check_reading(translation: Translation) -> None:
    """Refuses a SELECT of tables that require a partition filter, without one.

    Raises:
        ApiError: it is such a one.
    """
    filtered = {
        column.name.lower()
        for clause in translation.original.find_all(exp.Where, exp.Join)
        for column in clause.find_all(exp.Column)
    }
    for node in translation.original.find_all(exp.Table):
        table = translation.tables.table_or_none(node)
        if table is None or not table.resource.get("requirePartitionFilter"):
            continue
        if table.partitioning and table.partitioning.field.lower() not in filtered:
            name = table.name
            raise invalid_query(
                f"Cannot query over table '{name.project}.{name.dataset}.{name.table}' without a "
                f"filter over column(s) '{table.partitioning.field}' that can be used for "
                "partition elimination"
            )
