"""The API's datasets: insert, get, list, patch, update, delete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bigquery_emulator.api.http_calls import Call, etag, listed
from bigquery_emulator.errors import invalid, precondition_failed, unsupported
from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.catalog import Dataset
from bigquery_emulator.storage.database import Cursor, Storage
from bigquery_emulator.storage.resources import check_dataset_id, checked_dataset, merged_resource

_ACCESS = [{"role": "OWNER", "specialGroup": "projectOwners"}]


@dataclass(frozen=True)
class DatasetApi:
    """Answers requests about datasets."""

    storage: Storage

    def insert(self, call: Call) -> dict[str, Any]:
        """Creates a dataset."""
        reference = call.body.get("datasetReference") or {}
        project, name = call.path["project"], reference.get("datasetId") or ""
        check_dataset_id(name)
        resource = {"location": "US", "access": _ACCESS} | checked_dataset(call.body)
        with self.storage.locks.held_for(project, name), self.storage.transaction() as cursor:
            catalog.create_dataset(cursor, project, name, resource)
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
            every = catalog.list_datasets(cursor, call.path["project"])
        with_hidden = call.query.get("all", "").lower() == "true"
        datasets = [one for one in every if with_hidden or not one.is_hidden]
        page, token = listed([_summary(dataset) for dataset in datasets], call.query)
        body: dict[str, Any] = {"kind": "bigquery#datasetList", "etag": etag(page)} | token
        return body | ({"datasets": page} if page else {})

    def list_routines(self, call: Call) -> dict[str, Any]:
        """Lists the routines of a dataset: there are none, as none can be created."""
        with self.storage.snapshot() as cursor:
            _named(cursor, call)
        return {}

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
            changes = checked_dataset(call.body, keep_nulls=True)
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
            catalog.delete_dataset(
                cursor,
                _named(cursor, call),
                contents=call.query.get("deleteContents", "").lower() == "true",
            )


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
