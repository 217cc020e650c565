"""Every resource against what Google says of its API."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import httpx
import pytest
from google.cloud import storage

pytestmark = pytest.mark.integration

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "object": dict,
    "array": list,
}


@cache
def schemas() -> dict[str, Any]:
    path = files("googleapiclient.discovery_cache") / "documents" / "storage.v1.json"
    described: dict[str, Any] = json.loads(path.read_text())["schemas"]
    return described


def check(resource: dict[str, Any], schema: str) -> None:
    """Fails if Google's description has no such property, or one of another type."""
    properties = schemas()[schema]["properties"]
    for name, value in resource.items():
        described = properties[name]
        assert isinstance(value, _TYPES[described.get("type", "object")]), (name, value)
        if described.get("format") in ("int64", "uint64"):
            assert str(int(str(value))) == value, (name, value)
        for item in value if isinstance(value, list) else []:
            if "$ref" in described["items"]:
                check(item, described["items"]["$ref"])


def test_resources_are_as_google_describes_them(bucket: storage.Bucket, http: httpx.Client) -> None:
    blob = bucket.blob("a/b")
    blob.metadata = {"a": "1"}
    blob.upload_from_string(b"x")
    path = f"/storage/v1/b/{bucket.name}"
    for address, schema in (
        ("/storage/v1/b?project=test", "Buckets"),
        (path, "Bucket"),
        (f"{path}/o", "Objects"),
        (f"{path}/o?delimiter=/&maxResults=1", "Objects"),
        (f"{path}/o/a%2Fb", "Object"),
    ):
        answer = http.get(address)
        assert answer.status_code == 200
        check(answer.json(), schema)


def test_the_links_of_an_object_lead_to_it(bucket: storage.Bucket, http: httpx.Client) -> None:
    blob = bucket.blob("a/b ?")
    blob.upload_from_string(b"x")
    resource = http.get(blob.self_link).json()
    assert resource["id"] == f"{bucket.name}/a/b ?/{blob.generation}"
    assert http.get(resource["mediaLink"]).content == b"x"
