"""What Google's clients make of bad answers, of the API and of the server that gives tokens."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import AnonymousCredentials, Credentials
from google.cloud import bigquery, storage
from google.oauth2 import service_account

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.bigquery.settings import BigQuerySettings
from taxi_platform.stores.bigquery.store import BigQueryStore
from taxi_platform.stores.gcs.objects import GCSTrips
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.months import cleaned_month

MONTH = TripMonth.from_key("green|2023-03")


@dataclass(frozen=True)
class Said:
    status: int
    body: bytes = b""
    kind: str = "application/json"


def error_of(status: int, reason: str) -> Said:
    """An error in Google's form."""
    detail = {"message": reason, "domain": "global", "reason": reason}
    error = {"code": status, "message": reason, "errors": [detail]}
    return Said(status, json.dumps({"error": error}).encode())


@dataclass
class Server:
    """Answers every request alike; one for tokens answers those on their own path."""

    url: str = ""
    api: Said = field(default_factory=lambda: Said(200, b"{}"))
    token: Said = field(
        default_factory=lambda: Said(200, b'{"access_token": "t", "expires_in": 3600}')
    )
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    scripted = Server()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            scripted.asked.append(self.path)
            said = scripted.token if self.path == "/token" else scripted.api
            self.send_response(said.status)
            self.send_header("Content-Type", said.kind)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        scripted.url = f"http://127.0.0.1:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield scripted
        listener.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def upload(server: Server, credentials: Credentials, landing: LandingZone) -> None:
    options = {"api_endpoint": server.url}
    with storage.Client(project="p", credentials=credentials, client_options=options) as client:
        GCSTrips(client, "lake", request_seconds=5).upload(cleaned_month(landing, MONTH, 10))


def list_objects(server: Server, credentials: Credentials, landing: LandingZone) -> None:
    options = {"api_endpoint": server.url}
    with storage.Client(project="p", credentials=credentials, client_options=options) as client:
        GCSTrips(client, "lake", request_seconds=5).generations()


def query(server: Server, credentials: Credentials, landing: LandingZone) -> None:
    options = {"api_endpoint": server.url}
    with bigquery.Client(project="p", credentials=credentials, client_options=options) as client:
        BigQueryStore(client, BigQuerySettings(request_seconds=5)).totals(MONTH)


CALLS = [upload, list_objects, query]

TRANSIENT = {
    "408": error_of(408, "timeout"),
    "429": error_of(429, "rateLimitExceeded"),
    "403 for too many requests": error_of(403, "rateLimitExceeded"),
    "403 for the user's too many": error_of(403, "userRateLimitExceeded"),
    "500": error_of(500, "backendError"),
    "502 with a page": Said(502, b"<html>Bad Gateway</html>", "text/html"),
    "503 without a body": Said(503),
    "503 whose error is text": Said(503, b'{"error": "overloaded"}'),
    "503 that is a list": Said(503, b"[]"),
    "503 that is nothing": Said(503, b"null"),
    "504 that is text": Said(504, b'"timeout"'),
    "an unknown status": Said(599, b"{}"),
    "200 with nothing": Said(200),
    "200 with a page": Said(200, b"<html>Sign in</html>", "text/html"),
    "200 with half an answer": Said(200, b'{"kind": "storage'),
    "200 with text": Said(200, b'"hello"'),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", TRANSIENT)
def test_what_may_pass_is_worth_another_try(
    server: Server, landing: LandingZone, call: object, kind: str
) -> None:
    server.api = TRANSIENT[kind]
    with pytest.raises(TransientStoreError):
        call(server, AnonymousCredentials(), landing)  # type: ignore[operator]


PERMANENT = {
    "400": error_of(400, "invalid"),
    "401": error_of(401, "authError"),
    "403": error_of(403, "forbidden"),
    "403 with a page": Said(403, b"<html>Forbidden</html>", "text/html"),
    "501": error_of(501, "notImplemented"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", PERMANENT)
def test_what_lasts_is_not_tried_again(
    server: Server, landing: LandingZone, call: object, kind: str
) -> None:
    server.api = PERMANENT[kind]
    with pytest.raises(PermanentStoreError):
        call(server, AnonymousCredentials(), landing)  # type: ignore[operator]


TOKENS: dict[str, tuple[Said, type[Exception]]] = {
    "503": (Said(503), TransientStoreError),
    "408": (Said(408), TransientStoreError),
    "502 with a page": (Said(502, b"<html>Bad Gateway</html>", "text/html"), TransientStoreError),
    "200 with nothing": (Said(200), TransientStoreError),
    "200 without a token": (Said(200, b"{}"), TransientStoreError),
    "200 with a page": (Said(200, b"<html>Sign in</html>", "text/html"), TransientStoreError),
    "a server error in words": (Said(400, b'{"error": "server_error"}'), TransientStoreError),
    "a wrong key": (Said(400, b'{"error": "invalid_grant"}'), PermanentStoreError),
    "an unknown client": (Said(401, b'{"error": "invalid_client"}'), PermanentStoreError),
    "a refusal in the API's form": (error_of(403, "forbidden"), PermanentStoreError),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", TOKENS)
def test_a_server_of_tokens_that_fails_is_asked_again_and_one_that_refuses_is_not(
    server: Server, landing: LandingZone, key: str, kind: str
) -> None:
    server.token, expected = TOKENS[kind]
    credentials = service_account.Credentials(
        signers(key), "taxi@p.iam.gserviceaccount.com", f"{server.url}/token", scopes=["x"]
    )
    with pytest.raises(expected, match=r"green\|2023-03: GCS, gs://lake"):
        upload(server, credentials, landing)
    assert set(server.asked) == {"/token"}


def signers(key: str) -> object:
    from google.auth import crypt

    return crypt.RSASigner.from_string(key)
