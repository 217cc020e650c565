"""Answers requests for objects, besides their contents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gcs_emulator.api.calls import Call, number_of, source_conditions_of
from gcs_emulator.api.listing import Selection, first_name, page_of
from gcs_emulator.api.resources import (
    given_properties,
    object_resource,
    without_removed,
)
from gcs_emulator.errors import invalid
from gcs_emulator.storage.records import ObjectRecord
from gcs_emulator.storage.store import NewObject, Store

_LONGEST_NAME_BYTES = 1024


def checked_name(name: str) -> str:
    """A name that an object may have.

    Raises:
        ApiError: GCS refuses it.
    """
    if not name or name in (".", "..") or len(name.encode(errors="replace")) > _LONGEST_NAME_BYTES:
        raise invalid(f"Invalid object name: '{name[:100]}'")
    if not name.isprintable() and set(name) & {"\n", "\r", "\0"}:
        raise invalid(f"Invalid object name: {name[:100]!r}")
    return name


@dataclass
class ObjectApi:
    """The handlers of ``/b/{bucket}/o``."""

    store: Store

    def list(self, call: Call) -> dict[str, Any]:
        """GET: the objects, a page at a time."""
        query = call.query
        selection = Selection(
            prefix=query.get("prefix", ""),
            delimiter=query.get("delimiter", ""),
            start=query.get("startOffset", ""),
            end=query.get("endOffset", ""),
        )
        token = query.get("pageToken") or None
        records = self.store.objects(call.path["bucket"], first_name(selection, token))
        page = page_of(records, selection, token, number_of(query, "maxResults"))
        body: dict[str, Any] = {"kind": "storage#objects"}
        if page.items:
            body["items"] = [object_resource(record, call.base_url) for record in page.items]
        if page.prefixes:
            body["prefixes"] = page.prefixes
        return body | ({"nextPageToken": page.next_token} if page.next_token else {})

    def get(self, call: Call) -> dict[str, Any]:
        """GET: an object."""
        found = self.store.find(call.path["bucket"], call.path["object"], call.generation)
        call.conditions.require_for_reading(found)
        return object_resource(found, call.base_url)

    def patch(self, call: Call) -> dict[str, Any]:
        """PATCH: some of an object's properties."""
        found = self.store.find(call.path["bucket"], call.path["object"], call.generation)
        given = given_properties(call.body)
        if given.get("metadata"):
            given["metadata"] = found.properties.get("metadata", {}) | given["metadata"]
        properties = without_removed(found.properties | given)
        changed = self.store.set_properties(found, properties, call.conditions)
        return object_resource(changed, call.base_url)

    def update(self, call: Call) -> dict[str, Any]:
        """PUT: all of an object's properties."""
        found = self.store.find(call.path["bucket"], call.path["object"], call.generation)
        properties = without_removed(given_properties(call.body))
        changed = self.store.set_properties(found, properties, call.conditions)
        return object_resource(changed, call.base_url)

    def delete(self, call: Call) -> None:
        """DELETE: an object."""
        self.store.delete(
            call.path["bucket"], call.path["object"], call.generation, call.conditions
        )

    def rewrite(self, call: Call) -> dict[str, Any]:
        """POST to rewriteTo: a copy of an object, whole in one call."""
        source = (
            call.path["bucket"],
            call.path["object"],
            number_of(call.query, "sourceGeneration"),
        )

        def copied(found: ObjectRecord) -> NewObject:
            # Properties that are given replace all of the source's.
            given = without_removed(given_properties(call.body))
            return NewObject(
                bucket=call.path["destination_bucket"],
                name=checked_name(call.path["destination"]),
                properties=given or found.properties,
                conditions=call.conditions,
            )

        stored = self.store.copy(source, source_conditions_of(call.query), copied)
        return {
            "kind": "storage#rewriteResponse",
            "done": True,
            "objectSize": str(stored.size),
            "totalBytesRewritten": str(stored.size),
            "resource": object_resource(stored, call.base_url),
        }
