"""The routes of the API, and the parts that answer them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from gcs_emulator.api.buckets import BucketApi
from gcs_emulator.api.calls import Endpoint, endpoint, error_response, guarded
from gcs_emulator.api.downloads import DownloadApi
from gcs_emulator.api.objects import ObjectApi
from gcs_emulator.api.uploads import UploadApi
from gcs_emulator.errors import ApiError, unsupported
from gcs_emulator.storage.store import Store

_BUCKET = "/b/{bucket}"
_OBJECTS = _BUCKET + "/o"
_OBJECT = _OBJECTS + "/{object:path}"
_REWRITE = _OBJECT + "/rewriteTo/b/{destination_bucket}/o/{destination:path}"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create_app(data_dir: Path) -> Starlette:
    """The emulator as an ASGI application, over the store in a folder.

    Raises:
        FolderInUseError: another process has the folder open.
    """
    store = Store(data_dir)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        store.close()

    return Starlette(
        routes=[
            Route("/", _healthy),
            Mount("/storage/v1", routes=_resource_routes(store)),
            Mount("/upload/storage/v1", routes=_upload_routes(store)),
            Mount("/download/storage/v1", routes=[_content(_OBJECT, store)]),
            Route("/{path:path}", _uncovered, methods=_METHODS),
        ],
        exception_handlers={404: _uncovered, 405: _uncovered, 500: _broken},
        lifespan=lifespan,
    )


def _resource_routes(store: Store) -> list[Route]:
    buckets, objects, downloads = BucketApi(store), ObjectApi(store), DownloadApi(store)
    return [
        Route("/b", endpoint(buckets.list), methods=["GET"]),
        Route("/b", endpoint(buckets.insert), methods=["POST"]),
        Route(_BUCKET, endpoint(buckets.get), methods=["GET"]),
        Route(_BUCKET, endpoint(buckets.delete), methods=["DELETE"]),
        Route(_OBJECTS, endpoint(objects.list), methods=["GET"]),
        Route(_OBJECT, _either(endpoint(objects.get), guarded(downloads.get)), methods=["GET"]),
        Route(_REWRITE, endpoint(objects.rewrite), methods=["POST"]),
        Route(_OBJECT, endpoint(objects.patch), methods=["PATCH"]),
        Route(_OBJECT, endpoint(objects.update), methods=["PUT"]),
        Route(_OBJECT, endpoint(objects.delete), methods=["DELETE"]),
    ]


def _upload_routes(store: Store) -> list[Route]:
    uploads = UploadApi(store)
    return [
        Route(_OBJECTS, guarded(uploads.start), methods=["POST"]),
        Route(_OBJECTS, guarded(uploads.resume), methods=["PUT"]),
        Route(_OBJECTS, guarded(uploads.cancel), methods=["DELETE"]),
    ]


def _content(path: str, store: Store) -> Route:
    return Route(path, guarded(DownloadApi(store).get), methods=["GET"])


def _either(resource: Endpoint, content: Endpoint) -> Endpoint:
    """An object's GET: its resource, or its content with ``alt=media``."""

    async def answer(request: Request) -> Response:
        chosen = content if request.query_params.get("alt") == "media" else resource
        return await chosen(request)

    return answer


async def _healthy(_: Request) -> Response:
    return JSONResponse({"status": "ok", "service": "gcs-emulator"})


async def _uncovered(request: Request, _: Exception | None = None) -> Response:
    return error_response(unsupported(f"{request.method} {request.url.path}"))


async def _broken(_: Request, error: Exception) -> Response:
    message = f"{type(error).__name__}: {error}"
    return error_response(ApiError(500, "internalError", message))
