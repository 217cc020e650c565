"""The API's datasets: insert, get, list, patch, update, delete."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bigquery_emulator.api.http_calls import Call, etag, listed
from bigquery_emulator.errors import (
    duplicate,
    invalid,
    precondition_failed,
    unsupported,
)
from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.catalog import Dataset, now_ms
from bigquery_emulator.storage.database import Cursor, Storage

_NAME = re.compile(r"[A-Za-z0-9_]{1,1024}")
_KEPT = {
    "access",
    "defaultPartitionExpirationMs",
    "defaultTableExpirationMs",
    "description",
    "friendlyName",
    "labels",
    "location",
}
_READ_ONLY = {
    "creationTime",
    "datasetReference",
    "etag",
    "id",
    "kind",
    "lastModifiedTime",
    "selfLink",
    "type",
}
_ACCESS = [{"role": "OWNER", "specialGroup": "projectOwners"}]


@dataclass(frozen=True)
class DatasetApi:
    """Answers requests about datasets."""

    storage: Storage

    def insert(self, call: Call) -> dict[str, Any]:
        """Creates a dataset."""
        reference = call.body.get("datasetReference") or {}
        project, name = call.path["project"], reference.get("datasetId") or ""
        if not _NAME.fullmatch(name):
            raise invalid(
                f'Invalid dataset ID "{name}". Dataset IDs must be alphanumeric (plus underscores) '
                "and must be at most 1024 characters long."
            )
        resource = {"location": "US", "access": _ACCESS} | _checked(call.body)
        with self.storage.locks.held_for(project, name), self.storage.transaction() as cursor:
            create_dataset(cursor, project, name, resource)
            return _shown(catalog.find_dataset(cursor, project, name), call)

    def get(self, call: Call) -> dict[str, Any]:
        """Shows a dataset."""
        with self.storage.snapshot() as cursor:
            return _shown(_named(cursor, call), call)

    def list(self, call: Call) -> dict[str, Any]:
        """Lists the datasets of a project."""
        if call.query.get("filter"):
            raise unsupported("the filter of datasets.list")
        with self.storage.snapshot() as cursor:
            datasets = catalog.list_datasets(cursor, call.path["project"])
        page, token = listed([_summary(dataset) for dataset in datasets], call.query)
        body: dict[str, Any] = {"kind": "bigquery#datasetList", "etag": etag(page)} | token
        return body | ({"datasets": page} if page else {})

    def patch(self, call: Call) -> dict[str, Any]:
        """Changes what the request names; a null removes it."""
        return self._changed(call, replace=False)

    def update(self, call: Call) -> dict[str, Any]:
        """Replaces everything that a client may set."""
        return self._changed(call, replace=True)

    def _changed(self, call: Call, *, replace: bool) -> dict[str, Any]:
        key = (call.path["project"], call.path["dataset"])
        with self.storage.locks.held_for(*key), self.storage.transaction() as cursor:
            dataset = _named(cursor, call)
            if call.if_match and call.if_match != _etag(dataset):
                raise precondition_failed()
            changes = _checked(call.body, keep_nulls=True)
            if changes.get("location", dataset.location) != dataset.location:
                raise invalid("Cannot change the location of a dataset")
            kept = {key: dataset.resource[key] for key in ("location", "access")}
            merged = merged_resource(kept if replace else dataset.resource, changes)
            dataset.resource = merged
            catalog.save_dataset(cursor, dataset)
            return _shown(dataset, call)

    def delete(self, call: Call) -> None:
        """Deletes a dataset, with its tables if the request says so."""
        with self.storage.locks.held_for_everything(), self.storage.transaction() as cursor:
            delete_dataset(
                cursor,
                _named(cursor, call),
                contents=call.query.get("deleteContents", "").lower() == "true",
            )


def create_dataset(cursor: Cursor, project: str, name: str, resource: dict[str, Any]) -> None:
    """Enters a new dataset.

    Raises:
        ApiError: there is one of that name.
    """
    if any(held.dataset == name for held in catalog.list_datasets(cursor, project)):
        raise duplicate(f"Dataset {project}:{name}")
    catalog.save_dataset(cursor, Dataset(project, name, resource, now_ms(), now_ms()))


def delete_dataset(cursor: Cursor, dataset: Dataset, *, contents: bool) -> None:
    """Removes a dataset.

    Raises:
        ApiError: it has tables, which were not to be deleted.
    """
    tables = catalog.list_tables(cursor, dataset.project, dataset.dataset)
    if tables and not contents:
        raise invalid(f"Dataset {dataset.project}:{dataset.dataset} is still in use")
    for table in tables:
        catalog.drop_table(cursor, table)
    catalog.delete_dataset(cursor, dataset)


def merged_resource(held: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A resource with the changes of a patch: a null removes, labels are merged key by key."""
    labels = {**held.get("labels", {}), **(changes.get("labels") or {})}
    merged = held | changes
    if changes.get("labels") is not None:
        merged["labels"] = {key: value for key, value in labels.items() if value is not None}
    return {key: value for key, value in merged.items() if value is not None and value != {}}


def _checked(body: dict[str, Any], *, keep_nulls: bool = False) -> dict[str, Any]:
    meant = {key for key, value in body.items() if value not in (None, {}, [], "", False)}
    if extra := sorted(meant - _KEPT - _READ_ONLY):
        raise unsupported(f"the dataset property {extra[0]}")
    for expiration in ("defaultTableExpirationMs", "defaultPartitionExpirationMs"):
        if expiration in meant:
            raise unsupported(f"the dataset property {expiration}")
    kept = {key: value for key, value in body.items() if key in _KEPT}
    return kept if keep_nulls else merged_resource({}, kept)


def _named(cursor: Cursor, call: Call) -> Dataset:
    return catalog.find_dataset(cursor, call.path["project"], call.path["dataset"])


def _etag(dataset: Dataset) -> str:
    return etag(dataset.project, dataset.dataset, dataset.modified_ms, dataset.resource)


def _summary(dataset: Dataset) -> dict[str, Any]:
    shown = {
        key: dataset.resource[key]
        for key in ("friendlyName", "labels", "location")
        if key in dataset.resource
    }
    return shown | {
        "kind": "bigquery#dataset",
        "id": f"{dataset.project}:{dataset.dataset}",
        "datasetReference": {"projectId": dataset.project, "datasetId": dataset.dataset},
    }


def _shown(dataset: Dataset, call: Call) -> dict[str, Any]:
    path = f"/bigquery/v2/projects/{dataset.project}/datasets/{dataset.dataset}"
    return (
        dataset.resource
        | _summary(dataset)
        | {
            "etag": _etag(dataset),
            "selfLink": call.base_url + path,
            "creationTime": str(dataset.created_ms),
            "lastModifiedTime": str(dataset.modified_ms),
            "type": "DEFAULT",
        }
    )
