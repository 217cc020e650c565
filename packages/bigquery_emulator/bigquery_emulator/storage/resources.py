"""What a client may set of datasets and tables: checked, as the catalog keeps it.

The same for requests and for DDL. What may change of a table's columns is in schema_change.py.
"""

from __future__ import annotations

import re
from typing import Any

from bigquery_emulator.errors import invalid, unsupported
from bigquery_emulator.storage.catalog import Table, now_ms
from bigquery_emulator.storage.column_types import checked_fields
from bigquery_emulator.storage.partitioning import TimePartitioning, checked_clustering

_DATASET_ID = re.compile(r"[A-Za-z0-9_]{1,1024}")
_DATASET_KEPT = {
    "access",
    "defaultPartitionExpirationMs",
    "defaultTableExpirationMs",
    "description",
    "friendlyName",
    "labels",
    "location",
}
_DATASET_READ_ONLY = {
    "creationTime",
    "datasetReference",
    "etag",
    "id",
    "kind",
    "lastModifiedTime",
    "selfLink",
    "type",
}
_TABLE_ID = re.compile(r"[\w \-]{1,1024}")
_TABLE_KEPT = {
    "clustering",
    "description",
    "expirationTime",
    "friendlyName",
    "labels",
    "requirePartitionFilter",
    "schema",
    "timePartitioning",
    "view",
}
_TABLE_READ_ONLY = {
    "creationTime",
    "etag",
    "id",
    "kind",
    "lastModifiedTime",
    "location",
    "numActiveLogicalBytes",
    "numBytes",
    "numLongTermBytes",
    "numRows",
    "numTotalLogicalBytes",
    "selfLink",
    "tableReference",
    "type",
}


def check_dataset_id(name: str) -> None:
    """Refuses a dataset id that BigQuery refuses.

    Raises:
        ApiError: it is refused.
    """
    if not _DATASET_ID.fullmatch(name):
        raise invalid(
            f'Invalid dataset ID "{name}". Dataset IDs must be alphanumeric (plus underscores) '
            "and must be at most 1024 characters long."
        )


def checked_dataset(body: dict[str, Any], *, keep_nulls: bool = False) -> dict[str, Any]:
    """What a client sets of a dataset, as it is kept.

    Args:
        body: the API's Dataset.
        keep_nulls: whether nulls stay, as a patch needs them.

    Raises:
        ApiError: it is not supported.
    """
    meant = {key for key, value in body.items() if value not in (None, {}, [], "", False)}
    if extra := sorted(meant - _DATASET_KEPT - _DATASET_READ_ONLY):
        raise unsupported(f"the dataset property {extra[0]}")
    for expiration in ("defaultTableExpirationMs", "defaultPartitionExpirationMs"):
        if expiration in meant:
            raise unsupported(f"the dataset property {expiration}")
    kept = {key: value for key, value in body.items() if key in _DATASET_KEPT}
    return kept if keep_nulls else merged_resource({}, kept)


def check_table_id(name: str) -> None:
    """Refuses a table id that BigQuery refuses.

    Raises:
        ApiError: it is refused.
    """
    if not _TABLE_ID.fullmatch(name):
        raise invalid(
            f'Invalid table ID "{name}". Table IDs must be alphanumeric (plus underscores) and '
            "must be at most 1024 characters long. Also, table decorators cannot be used."
        )


def checked_table(body: dict[str, Any]) -> dict[str, Any]:
    """What a client sets of a new table, as it is kept.

    Raises:
        ApiError: it is wrong, or not supported.
    """
    resource = merged_resource({}, checked_table_properties(body))
    fields = checked_fields((body.get("schema") or {}).get("fields") or [])
    resource["schema"] = {"fields": fields}
    partitioning = TimePartitioning.from_resource(body.get("timePartitioning"), fields)
    if partitioning:
        resource["timePartitioning"] = partitioning.resource()
        if (body.get("timePartitioning") or {}).get("requirePartitionFilter"):
            resource["requirePartitionFilter"] = True
    if resource.get("clustering"):
        resource["clustering"] = checked_clustering(resource["clustering"], fields)
    return resource


def checked_table_properties(body: dict[str, Any]) -> dict[str, Any]:
    """What a client sets of a table besides what is read-only; nulls stay, as a patch needs them.

    Raises:
        ApiError: it is not supported.
    """
    meant = {key for key, value in body.items() if value not in (None, {}, [], "", False, "0")}
    if meant & {"materializedView", "externalDataConfiguration"}:
        raise unsupported("materialized views and external tables")
    if "view" in meant:
        _check_view(body["view"])
    if "expirationTime" in meant:
        _check_expiration(body["expirationTime"])
    if extra := sorted(meant - _TABLE_KEPT - _TABLE_READ_ONLY):
        raise unsupported(f"the table property {extra[0]}")
    return {key: value for key, value in body.items() if key in _TABLE_KEPT}


def _check_view(view: dict[str, Any]) -> None:
    if view.get("useLegacySql", True):
        raise unsupported("views of legacy SQL, which is meant unless useLegacySql is false")
    meant = {key for key, value in view.items() if value not in (None, {}, [], "", False)}
    if extra := sorted(meant - {"query"}):
        raise unsupported(f"the view option {extra[0]}")
    if not view.get("query"):
        raise invalid("Required parameter is missing: view.query")


def _check_expiration(value: Any) -> None:
    try:
        moment = int(value)
    except (TypeError, ValueError) as error:
        raise invalid(f"Invalid value for expirationTime: {value}") from error
    if moment <= now_ms():
        raise invalid(f"Invalid value for expirationTime: {value} is in the past")


def checked_layout_change(table: Table, changes: dict[str, Any]) -> dict[str, Any]:
    """The changes of a patch, without the partitioning, which cannot change.

    Raises:
        ApiError: it would change, or a column to cluster by does not exist.
    """
    partitioning = changes.pop("timePartitioning", None)
    if partitioning is not None:
        if partitioning.get("requirePartitionFilter") is not None:
            changes.setdefault("requirePartitionFilter", partitioning["requirePartitionFilter"])
        if TimePartitioning.from_resource(partitioning, table.fields) != table.partitioning:
            raise invalid("Cannot change partitioning spec for a partitioned table")
    if changes.get("clustering"):
        changes["clustering"] = checked_clustering(changes["clustering"], table.fields)
    return changes


def merged_resource(existing: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A resource with the changes of a patch: a null removes, labels are merged key by key."""
    labels = {**existing.get("labels", {}), **(changes.get("labels") or {})}
    merged = existing | changes
    if changes.get("labels") is not None:
        merged["labels"] = {key: value for key, value in labels.items() if value is not None}
    return {key: value for key, value in merged.items() if value is not None and value != {}}
