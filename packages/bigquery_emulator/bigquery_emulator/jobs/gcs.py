"""Fetches the objects that a load job names, from the GCS server beside the emulator.

Objects are streamed to temporary files, which the caller removes.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from bigquery_emulator.errors import ApiError, invalid, not_found

if TYPE_CHECKING:
    import httpx

_URI = re.compile(r"gs://(?P<bucket>[^/*]+)/(?P<object>[^\s].*)")


class GcsObjects:
    """Reads objects over the JSON API of GCS."""

    def __init__(self, url: str, temp_dir: Path) -> None:
        self._url = url.rstrip("/")
        self._temp_dir = temp_dir

    @contextmanager
    def downloaded(
        self, uris: list[str], is_cancelled: Callable[[], bool]
    ) -> Iterator[list[tuple[str, Path]]]:
        """The objects as temporary files, with their URIs, removed at the end.

        Args:
            uris: ``gs://bucket/object``, where the object may hold one ``*``.
            is_cancelled: asked between chunks; the download ends when it says yes.

        Raises:
            ApiError: an object does not exist, or the server does not answer.
        """
        # Imported here: it is slow to import, and the emulator's start is waited for.
        import httpx

        with ExitStack() as stack:
            client = stack.enter_context(httpx.Client(base_url=self._url, timeout=60))
            files = []
            try:
                for uri in (named for pattern in uris for named in self._named(client, pattern)):
                    path = self._temporary_file(stack)
                    self._download(client, uri, path, is_cancelled)
                    files.append((uri, path))
            except httpx.HTTPError as error:
                raise ApiError(
                    "backendError", f"The GCS server at {self._url} does not answer: {error}"
                ) from error
            yield files

    def _temporary_file(self, stack: ExitStack) -> Path:
        with tempfile.NamedTemporaryFile(dir=self._temp_dir, prefix="object-", delete=False) as f:
            path = Path(f.name)
        stack.callback(path.unlink, missing_ok=True)
        return path

    def _named(self, client: httpx.Client, uri: str) -> list[str]:
        """The URIs that one URI of the request stands for."""
        bucket, name = _parsed(uri)
        if "*" not in name:
            return [uri]
        prefix, _, suffix = name.partition("*")
        names: list[str] = []
        page: str | None = ""
        while page is not None:
            params = {"prefix": prefix} | ({"pageToken": page} if page else {})
            response = client.get(f"/storage/v1/b/{quote(bucket, safe='')}/o", params=params)
            if response.status_code == 404:
                raise not_found(f"URI {uri}")
            body = response.raise_for_status().json()
            names += [item["name"] for item in body.get("items", [])]
            page = body.get("nextPageToken")
        matching = [
            name
            for name in sorted(names)
            if name.endswith(suffix) and len(name) >= len(prefix) + len(suffix)
        ]
        if not matching:
            raise not_found(f"URI {uri}")
        return [f"gs://{bucket}/{name}" for name in matching]

    def _download(
        self, client: httpx.Client, uri: str, path: Path, is_cancelled: Callable[[], bool]
    ) -> None:
        bucket, name = _parsed(uri)
        url = f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
        with client.stream("GET", url, params={"alt": "media"}) as response:
            if response.status_code == 404:
                raise not_found(f"URI {uri}")
            response.raise_for_status()
            with path.open("wb") as file:
                # Raw: an object with a content encoding is stored, and read by DuckDB, as it is.
                for chunk in response.iter_raw(1 << 20):
                    file.write(chunk)
                    if is_cancelled():
                        raise ApiError("stopped", "Job execution was cancelled")


def _parsed(uri: str) -> tuple[str, str]:
    match = _URI.fullmatch(uri)
    if match is None or match["object"].count("*") > 1:
        raise invalid(f"Source URI must be a Google Cloud Storage location: {uri}")
    return match["bucket"], match["object"]
