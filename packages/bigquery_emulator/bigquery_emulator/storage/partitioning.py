"""Time partitioning: which partition a row belongs to, and the ``table$202401`` decorator.

Only partitioning by a column is supported, not by ingestion time or by range. Clustering is checked
here too, and kept, but orders nothing: the emulator has no need of it.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from bigquery_emulator.errors import invalid, unsupported
from bigquery_emulator.storage.column_types import Field, duckdb_type, field_named
from bigquery_emulator.storage.quoting import quoted

_FORMATS = {"DAY": "%Y%m%d", "MONTH": "%Y%m", "YEAR": "%Y"}
_ID_LENGTHS = {"DAY": 8, "MONTH": 6, "YEAR": 4}
_PARTITIONED_TYPES = ("DATE", "DATETIME", "TIMESTAMP")
NULL_PARTITION = "__NULL__"
UNPARTITIONED = "__UNPARTITIONED__"


@dataclass(frozen=True)
class TimePartitioning:
    """How a table is partitioned: by the DAY, MONTH or YEAR of a column."""

    type: str
    field: str
    duckdb_type: str

    @classmethod
    def from_resource(
        cls, resource: dict[str, Any] | None, fields: list[Field]
    ) -> TimePartitioning | None:
        """Reads and checks the API's timePartitioning.

        Raises:
            ApiError: the column cannot be partitioned by, or the kind is not supported.
        """
        if not resource:
            return None
        if resource.get("expirationMs") not in (None, "0", 0):
            raise unsupported("partition expiration")
        unit = str(resource.get("type") or "").upper()
        if not resource.get("field"):
            raise unsupported("partitioning by ingestion time")
        if unit == "HOUR":
            raise unsupported("partitioning by hour")
        if unit not in _FORMATS:
            raise invalid(f"Invalid value for type: {unit} is not a valid value")
        column = field_named(fields, resource["field"])
        if column is None:
            raise invalid(
                f"The field specified for partitioning cannot be found in the schema: "
                f"{resource['field']}"
            )
        if column["type"] not in _PARTITIONED_TYPES or column["mode"] == "REPEATED":
            raise invalid(
                "The field specified for time partitioning can only be of type TIMESTAMP, DATE or "
                f"DATETIME. The type found is: {column['type']}."
            )
        return cls(type=unit, field=str(column["name"]), duckdb_type=duckdb_type(column))

    def resource(self) -> dict[str, str]:
        """The API's timePartitioning."""
        return {"type": self.type, "field": self.field}

    def number_sql(self) -> str:
        """A SQL expression for a row's partition as a number, such as 202401.

        A number, because a month's id as text takes as long to make as all other counting does.
        """
        column = quoted(self.field)
        parts = {
            "DAY": f"year({column}) * 10000 + month({column}) * 100 + day({column})",
            "MONTH": f"year({column}) * 100 + month({column})",
            "YEAR": f"year({column})",
        }
        return parts[self.type]

    def partition_id_of(self, number: int | None) -> str:
        """The partition id for what `number_sql` computed."""
        if number is None:
            return NULL_PARTITION
        return str(number).zfill(_ID_LENGTHS[self.type])

    def rows_of(self, partition_id: str) -> tuple[str, dict[str, str]]:
        """A SQL condition for the rows of one partition, and its parameters.

        It compares the bare column with bounds, so that DuckDB skips the row groups outside.
        """
        column = quoted(self.field)
        if partition_id == NULL_PARTITION:
            return f"{column} IS NULL", {}
        first = datetime.datetime.strptime(partition_id, _FORMATS[self.type])  # noqa: DTZ007
        kind = self.duckdb_type
        condition = f"{column} >= CAST($first AS {kind}) AND {column} < CAST($after AS {kind})"
        return condition, {"first": str(first), "after": str(self._next(first))}

    def _next(self, first: datetime.datetime) -> datetime.datetime:
        if self.type == "DAY":
            return first + datetime.timedelta(days=1)
        if self.type == "MONTH":
            return (first + datetime.timedelta(days=32)).replace(day=1)
        return first.replace(year=first.year + 1)


def split_decorator(table_id: str) -> tuple[str, str | None]:
    """A table id of a request, as the table's name and the partition id after ``$``."""
    name, found, partition_id = table_id.partition("$")
    return name, partition_id if found else None


def checked_partition_id(
    partitioning: TimePartitioning | None, partition_id: str | None, table: str
) -> str | None:
    """The partition id of a decorator, if the table has such partitions.

    Raises:
        ApiError: the table is not partitioned, or partitioned otherwise.
    """
    if partition_id is None:
        return None
    if partitioning is None:
        raise invalid(f"Cannot write to a partition of the non-partitioned table {table}")
    if partition_id == NULL_PARTITION:
        return partition_id
    if partition_id == UNPARTITIONED:
        raise unsupported("the partition __UNPARTITIONED__")
    expected = _FORMATS[partitioning.type]
    try:
        parsed = datetime.datetime.strptime(partition_id, expected)  # noqa: DTZ007
        if parsed.strftime(expected) != partition_id:
            raise ValueError(partition_id)
    except ValueError as error:
        raise invalid(
            f"Invalid partition decorator ${partition_id} for the table {table}, which is "
            f"partitioned by {partitioning.type}"
        ) from error
    return partition_id


def checked_clustering(clustering: dict[str, Any], fields: list[Field]) -> dict[str, Any]:
    """The API's clustering, if the table has such columns.

    Raises:
        ApiError: a column does not exist, or there are too many.
    """
    names = clustering.get("fields") or []
    if not 1 <= len(names) <= 4:
        raise invalid("Clustering requires between 1 and 4 fields")
    for name in names:
        field = field_named(fields, name)
        if field is None:
            raise invalid(
                "The field specified for clustering cannot be found in the schema. Invalid field: "
                f"{name}."
            )
        if field["type"] in ("FLOAT", "RECORD", "BYTES", "TIME") or field["mode"] == "REPEATED":
            raise invalid(
                f"Clustering is not supported on non-scalar or unsupported column {name} of type "
                f"{field['type']}"
            )
    return {"fields": list(names)}
