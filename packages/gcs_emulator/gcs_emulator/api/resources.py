"""Buckets and objects as JSON resources, and what clients may set in them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from gcs_emulator.errors import invalid, unsupported
from gcs_emulator.storage.checksums import Checksums
from gcs_emulator.storage.records import ObjectRecord

WRITABLE = (
    *("cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType"),
    *("customTime", "metadata", "storageClass"),
)
_MADE_BY_THE_SERVER = (
    *("bucket", "componentCount", "crc32c", "etag", "generation", "id", "kind", "md5Hash"),
    *("mediaLink", "metageneration", "name", "owner", "selfLink", "size", "timeCreated"),
    *("timeFinalized", "timeStorageClassUpdated", "updated"),
)
_DEFAULTS = {"storageClass": "STANDARD"}


def bucket_resource(name: str, created_us: int, base_url: str) -> dict[str, Any]:
    """A bucket as answered."""
    created = _time(created_us)
    return {
        "kind": "storage#bucket",
        "id": name,
        "name": name,
        "selfLink": f"{base_url}/storage/v1/b/{quote(name, safe='')}",
        "projectNumber": "0",
        "metageneration": "1",
        "location": "US",
        "locationType": "multi-region",
        "storageClass": "STANDARD",
        "etag": "CAE=",
        "timeCreated": created,
        "updated": created,
    }


def object_resource(record: ObjectRecord, base_url: str) -> dict[str, Any]:
    """An object as answered."""
    bucket, name = quote(record.bucket, safe=""), quote(record.name, safe="")
    path = f"storage/v1/b/{bucket}/o/{name}"
    created = _time(record.created_us)
    return (
        _DEFAULTS
        | record.properties
        | {
            "kind": "storage#object",
            "id": f"{record.bucket}/{record.name}/{record.generation}",
            "selfLink": f"{base_url}/{path}",
            "mediaLink": f"{base_url}/download/{path}?generation={record.generation}&alt=media",
            "name": record.name,
            "bucket": record.bucket,
            "generation": str(record.generation),
            "metageneration": str(record.metageneration),
            "size": str(record.size),
            "md5Hash": record.md5,
            "crc32c": record.crc32c,
            "etag": etag(record),
            "timeCreated": created,
            "updated": _time(record.updated_us),
            "timeStorageClassUpdated": created,
            "timeFinalized": created,
        }
    )


def etag(record: ObjectRecord) -> str:
    """A tag that changes with content and properties."""
    return base64.b64encode(f"{record.generation}/{record.metageneration}".encode()).decode()


def given_checksums(resource: dict[str, Any]) -> Checksums:
    """The checksums that a client gives with an object."""
    return Checksums(crc32c=resource.get("crc32c"), md5=resource.get("md5Hash"))


def given_properties(resource: dict[str, Any]) -> dict[str, Any]:
    """What a client sets in an object; None removes it.

    Raises:
        ApiError: it sets something that is not supported, or has the wrong type.
    """
    for name, value in resource.items():
        if name not in WRITABLE and name not in _MADE_BY_THE_SERVER and value:
            raise unsupported(f"the property {name} of objects")
    properties = {name: resource[name] for name in WRITABLE if name in resource}
    metadata = properties.get("metadata") or {}
    texts = {name: value for name, value in properties.items() if name != "metadata"}
    for name, value in (texts | (metadata if isinstance(metadata, dict) else {})).items():
        if not isinstance(value, str | None):
            raise invalid(f"Invalid value for {name}: not a string")
    if not isinstance(metadata, dict):
        raise invalid("Invalid value for metadata: not an object")
    return properties


def without_removed(properties: dict[str, Any]) -> dict[str, Any]:
    """Properties without those that are None, also in the metadata."""
    kept = {name: value for name, value in properties.items() if value is not None}
    if "metadata" in kept:
        kept["metadata"] = {k: v for k, v in kept["metadata"].items() if v is not None}
    return {name: value for name, value in kept.items() if value != {}}


def _time(microseconds: int) -> str:
    moment = datetime.fromtimestamp(microseconds / 1e6, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
