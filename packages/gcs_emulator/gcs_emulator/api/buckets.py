"""Answers requests for buckets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gcs_emulator.api.calls import Call, number_of
from gcs_emulator.api.resources import bucket_resource
from gcs_emulator.errors import ApiError, invalid, unsupported
from gcs_emulator.storage.store import Store

# https://cloud.google.com/storage/docs/buckets#naming
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_WITHOUT_EFFECT = {
    *("iamConfiguration", "kind", "labels", "location", "locationType", "name", "projectNumber"),
    *("softDeletePolicy", "storageClass", "timeCreated"),
}


@dataclass
class BucketApi:
    """The handlers of ``/b``."""

    store: Store

    def list(self, call: Call) -> dict[str, Any]:
        """GET: the buckets, a page at a time."""
        prefix, after = call.query.get("prefix", ""), call.query.get("pageToken", "")
        most = number_of(call.query, "maxResults") or 1000
        named = [
            (name, created)
            for name, created in self.store.buckets().items()
            if name.startswith(prefix) and name > after
        ]
        page = [bucket_resource(*bucket, call.base_url) for bucket in named[:most]]
        body: dict[str, Any] = {"kind": "storage#buckets"}
        body |= {"items": page} if page else {}
        return body | ({"nextPageToken": page[-1]["name"]} if len(named) > most else {})

    def insert(self, call: Call) -> dict[str, Any]:
        """POST: a new bucket."""
        name = str(call.body.get("name", ""))
        if not _NAME.fullmatch(name):
            raise invalid(f"Invalid bucket name: '{name}'")
        if not call.query.get("project"):
            raise ApiError(400, "required", "Required parameter: project")
        for setting, value in call.body.items():
            if setting not in _WITHOUT_EFFECT and value:
                raise unsupported(f"the setting {setting} of buckets")
        self.store.create_bucket(name)
        return bucket_resource(name, self.store.bucket(name), call.base_url)

    def get(self, call: Call) -> dict[str, Any]:
        """GET: a bucket."""
        name = call.path["bucket"]
        return bucket_resource(name, self.store.bucket(name), call.base_url)

    def delete(self, call: Call) -> None:
        """DELETE: an empty bucket."""
        self.store.delete_bucket(call.path["bucket"])
