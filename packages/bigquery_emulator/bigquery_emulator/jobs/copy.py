"""Copy jobs: the rows of tables, or of partitions, into another table or partition."""
# ruff: noqa: S608 - SQL is put together from identifiers quoted where they are made

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bigquery_emulator.errors import invalid, unsupported
from bigquery_emulator.jobs.destination import Destination
from bigquery_emulator.jobs.job import Job, Jobs, Outcome
from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.catalog import Table, TableName
from bigquery_emulator.storage.database import Cursor, Storage
from bigquery_emulator.storage.partitioning import checked_partition_id, split_decorator

_HANDLED = {
    "createDisposition",
    "destinationTable",
    "operationType",
    "sourceTable",
    "sourceTables",
    "writeDisposition",
}


@dataclass(frozen=True)
class CopyRequest:
    """A checked copy configuration: the tables to be copied, with decorators, and where to."""

    sources: list[TableName]
    destination: Destination

    @classmethod
    def from_configuration(cls, copy: dict[str, Any]) -> CopyRequest:
        """Reads the API's JobConfigurationTableCopy.

        Raises:
            ApiError: it is wrong, or asks for something that is not supported.
        """
        meant = {key for key, value in copy.items() if value not in (None, {}, [], "")}
        if extra := sorted(meant - _HANDLED):
            raise unsupported(f"the copy option {extra[0]}")
        operation = copy.get("operationType") or "COPY"
        if operation not in ("COPY", "OPERATION_TYPE_UNSPECIFIED"):
            raise unsupported(f"copy jobs that {operation}")
        sources = copy.get("sourceTables") or [copy.get("sourceTable")]
        if not all(sources) or not copy.get("destinationTable"):
            raise invalid("Required parameter is missing: sourceTable or destinationTable")
        return cls(
            sources=[TableName.from_reference(one) for one in sources],
            destination=Destination.from_configuration(copy, default_write="WRITE_EMPTY"),
        )

    @property
    def datasets(self) -> list[str]:
        """The datasets that are named, from whose location the job takes its own."""
        return [self.destination.name.dataset, *(one.dataset for one in self.sources)]


@dataclass(frozen=True)
class Copier:
    """Runs copy jobs."""

    storage: Storage
    jobs: Jobs

    def work(self, request: CopyRequest) -> Callable[[Job], Outcome | None]:
        """What a copy job has to do."""
        return lambda job: self._run(job, request)

    def _run(self, job: Job, request: CopyRequest) -> None:
        """Copies all or nothing, in one transaction with the job's outcome."""
        destination = request.destination
        with (
            self.storage.locks.held_for(*destination.lock_key),
            self.storage.transaction() as cursor,
        ):
            job.works_with(cursor)
            catalog.check_location(cursor, destination.name, job.name.location)
            sources = [_source(cursor, name, job) for name in request.sources]
            first = sources[0][0]
            if any(table.fields != first.fields for table, _, _ in sources):
                raise invalid("The tables to be copied have different schemas")
            rows = _selected(sources)
            # Read before the destination, which may be one of the sources, is emptied.
            cursor.execute(
                f"CREATE OR REPLACE TEMP TABLE copied AS {rows}",
                {name: value for _, _, bounds in sources for name, value in bounds.items()},
            )
            layout = replace(
                destination,
                partitioning=destination.partitioning or _partitioning(cursor, destination, first),
                clustering=_clustering(cursor, destination, first),
            )
            fields = [dict(field) for field in first.fields]
            target = layout.prepared(cursor, fields, self.storage.next_id, modes_count=True)
            names = [field["name"] for field in fields]
            copied = target.insert(names, "SELECT * FROM temp.copied", {})
            size = target.finish()
            cursor.execute("DROP TABLE temp.copied")
            statistics = {"copiedRows": str(copied), "copiedLogicalBytes": str(size)}
            self.jobs.record(cursor, job, Outcome({"copy": statistics}))


def _source(cursor: Cursor, name: TableName, job: Job) -> tuple[Table, str, dict[str, Any]]:
    """A table to be copied, and a condition for its rows with its parameters."""
    plain, decorator = split_decorator(name.table)
    name = TableName(name.project, name.dataset, plain)
    catalog.check_location(cursor, name, job.name.location)
    table = catalog.find_table(cursor, name)
    if table.is_view:
        raise invalid(f"Cannot copy the view {name}")
    partition_id = checked_partition_id(table.partitioning, decorator, str(name))
    if partition_id is None or table.partitioning is None:
        return table, "true", {}
    where, bounds = table.partitioning.rows_of(partition_id)
    return table, where, dict(bounds)


def _selected(sources: list[tuple[Table, str, dict[str, Any]]]) -> str:
    if len(sources) > 1 and any(bounds for _, _, bounds in sources):
        raise unsupported("copies of several partitions in one job")
    return " UNION ALL ".join(
        f"SELECT * FROM {table.relation} WHERE {where}" for table, where, _ in sources
    )


def _partitioning(cursor: Cursor, destination: Destination, first: Table) -> dict[str, Any] | None:
    """A new table is partitioned as the one that is copied."""
    if catalog.find_table_or_none(cursor, destination.name) is not None:
        return None
    found: dict[str, Any] | None = first.resource.get("timePartitioning")
    return found


def _clustering(cursor: Cursor, destination: Destination, first: Table) -> dict[str, Any] | None:
    if catalog.find_table_or_none(cursor, destination.name) is not None:
        return None
    found: dict[str, Any] | None = first.resource.get("clustering")
    return found
