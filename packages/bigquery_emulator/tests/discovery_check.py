"""The check of every answer against what Google says of its API.

Read from the discovery document that google-api-python-client carries: types, formats, and that
there is nothing else.
"""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

import httpx
import requests

_DOCUMENT = files("googleapiclient.discovery_cache") / "documents" / "bigquery.v2.json"
_STATUS_OF_CODE = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    501: "UNIMPLEMENTED",
}
_INT_FORMATS = {"int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1)}


class DiscoveryCheck:
    """Checks answers against Google's description of the API."""

    def __init__(self) -> None:
        self.checked = 0

    def requests_hook(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Checks an answer to Google's client."""
        body = response.content
        self.check(response.request.method or "", response.url, response.status_code, body)

    def httpx_hook(self, response: httpx.Response) -> None:
        """Checks an answer to a raw request."""
        response.read()
        request = response.request
        self.check(request.method, str(request.url), response.status_code, response.content)

    def check(self, method: str, url: str, code: int, content: bytes) -> None:
        """Fails if an answer is not what Google's description allows."""
        self.checked += 1
        if code == 308:  # the middle of a resumable upload
            return
        if code >= 300:
            _check_error(code, json.loads(content))
            return
        schema = _response_schema(method, url)
        if schema is None:
            assert content == b"", f"{method} {url} answered a body"
        else:
            _check_value(json.loads(content), {"$ref": schema}, f"{method} {url}")


def _check_error(code: int, body: Any) -> None:
    error = body["error"]
    assert set(body) == {"error"}
    assert set(error) == {"code", "message", "errors", "status"}, error
    assert error["code"] == code
    assert error["status"] == _STATUS_OF_CODE[code]
    assert error["message"]
    for detail in error["errors"]:
        assert detail["domain"] == "global"
        assert detail["reason"]
        assert detail["message"] == error["message"]


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_DOCUMENT.read_text())
    return document


@cache
def _methods() -> list[tuple[str, re.Pattern[str], str | None]]:
    methods = []
    for resource in _document()["resources"].values():
        for method in resource["methods"].values():
            path = re.sub(r"\\{[^/]+?\\}", "[^/]+", re.escape(method["flatPath"]))
            pattern = re.compile(rf"https?://[^/]+(?:/upload)?(?:/bigquery/v2)?/{path}(?:\?.*)?")
            answer = method.get("response", {}).get("$ref")
            methods.append((method["httpMethod"], pattern, answer))
    return methods


def _response_schema(method: str, url: str) -> str | None:
    if "upload_id=" in url or "uploadType=resumable" in url:
        return "Job" if method == "PUT" else None
    for http_method, pattern, schema in _methods():
        if http_method == method and pattern.fullmatch(url):
            return schema
    raise AssertionError(f"Google's API has no {method} {url}")


def _check_value(value: Any, schema: dict[str, Any], where: str) -> None:
    if "$ref" in schema:
        schema = _document()["schemas"][schema["$ref"]]
    kind = schema.get("type")
    if kind == "object":
        _check_object(value, schema, where)
    elif kind == "array":
        assert isinstance(value, list), f"{where}: {value!r} is not an array"
        for position, item in enumerate(value):
            _check_value(item, schema["items"], f"{where}[{position}]")
    elif kind != "any":
        _check_scalar(value, schema, where)


def _check_object(value: Any, schema: dict[str, Any], where: str) -> None:
    assert isinstance(value, dict), f"{where}: {value!r} is not an object"
    properties = schema.get("properties", {})
    for key, item in value.items():
        inner = properties.get(key) or schema.get("additionalProperties")
        assert inner is not None, f"{where}: Google's API has no {key}"
        _check_value(item, inner, f"{where}.{key}")


def _check_scalar(value: Any, schema: dict[str, Any], where: str) -> None:
    types: dict[str, Any] = {
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": int | float,
    }
    assert isinstance(value, types[schema["type"]]), f"{where}: {value!r} is not {schema['type']}"
    if schema["type"] in ("integer", "number"):
        assert not isinstance(value, bool), f"{where}: {value!r}"
    if schema.get("format") in _INT_FORMATS:
        low, high = _INT_FORMATS[schema["format"]]
        assert low <= int(value) <= high, f"{where}: {value!r}"
        assert str(int(value)) == value, f"{where}: {value!r}"
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r} is none of {schema['enum']}"
