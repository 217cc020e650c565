"""The routes of the API, and the parts that answer them.

What an answer contains is in datasets.py, tables.py, jobs.py and uploads.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from bigquery_emulator.api.datasets import DatasetApi
from bigquery_emulator.api.http_calls import Handler, endpoint, error_response, json_response
from bigquery_emulator.api.jobs import JobApi
from bigquery_emulator.api.tables import TableApi
from bigquery_emulator.api.uploads import UploadApi
from bigquery_emulator.errors import ApiError, unsupported
from bigquery_emulator.jobs.copy import Copier
from bigquery_emulator.jobs.gcs import GcsObjects
from bigquery_emulator.jobs.job import Jobs
from bigquery_emulator.jobs.load import Loader
from bigquery_emulator.jobs.query import QueryRunner
from bigquery_emulator.jobs.sessions import Sessions
from bigquery_emulator.jobs.streaming import RowInserter
from bigquery_emulator.jobs.temporary import drop_leftovers
from bigquery_emulator.sql.macros import all_macros
from bigquery_emulator.storage.database import Storage
from bigquery_emulator.storage.results import ResultStore

# Requests that wait for a query hold a thread each.
_REQUEST_THREADS = 100
_DATASETS = "/projects/{project}/datasets"
_TABLES = _DATASETS + "/{dataset}/tables"
_JOBS = "/projects/{project}/jobs"
_QUERIES = "/projects/{project}/queries"


def create_app(data_dir: Path, gcs_url: str) -> Starlette:
    """The emulator as an ASGI application, over the store in a directory."""
    storage = Storage(data_dir, all_macros())
    results = ResultStore(storage)
    drop_leftovers(storage)
    jobs, sessions = Jobs(storage), Sessions(storage)
    loader = Loader(storage, jobs, GcsObjects(gcs_url, storage.temp_dir))
    queries = QueryRunner(storage, jobs, results, sessions)
    job_api = JobApi(storage, jobs, loader, Copier(storage, jobs), queries, sessions)
    routes = _routes(DatasetApi(storage), TableApi(storage, results, RowInserter(storage)), job_api)
    uploads = UploadApi(job_api, storage.temp_dir)
    upload_routes = [
        Route(_JOBS, uploads.start, methods=["POST"]),
        Route(_JOBS, uploads.resume, methods=["PUT"]),
    ]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _REQUEST_THREADS
        yield
        sessions.end_all()
        jobs.close()
        results.close()
        storage.close()

    return Starlette(
        routes=[
            Route("/", _healthy),
            Route("/token", _token, methods=["POST"]),
            Mount("/bigquery/v2", routes=routes),
            Mount("/upload/bigquery/v2", routes=upload_routes),
            *routes,
            Route("/{path:path}", _uncovered, methods=_ALL_METHODS),
        ],
        exception_handlers={404: _uncovered, 405: _uncovered, 500: _broken},
        lifespan=lifespan,
    )


_ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def _routes(datasets: DatasetApi, tables: TableApi, jobs: JobApi) -> list[Route]:
    table_rows = _TABLES + "/{table}/data"
    listed: list[tuple[str, str, Handler]] = [
        ("GET", _DATASETS, datasets.list),
        ("POST", _DATASETS, datasets.insert),
        ("GET", _DATASETS + "/{dataset}", datasets.get),
        ("PATCH", _DATASETS + "/{dataset}", datasets.patch),
        ("PUT", _DATASETS + "/{dataset}", datasets.update),
        ("DELETE", _DATASETS + "/{dataset}", datasets.delete),
        ("GET", _DATASETS + "/{dataset}/routines", datasets.list_routines),
        ("GET", _TABLES, tables.list),
        ("POST", _TABLES, tables.insert),
        ("GET", _TABLES + "/{table}", tables.get),
        ("PATCH", _TABLES + "/{table}", tables.patch),
        ("PUT", _TABLES + "/{table}", tables.update),
        ("DELETE", _TABLES + "/{table}", tables.delete),
        ("GET", table_rows, tables.list_rows),
        ("POST", _TABLES + "/{table}/insertAll", tables.insert_all),
        ("GET", _JOBS, jobs.list),
        ("POST", _JOBS, jobs.insert),
        ("GET", _JOBS + "/{job}", jobs.get),
        ("POST", _JOBS + "/{job}/cancel", jobs.cancel),
        ("DELETE", _JOBS + "/{job}/delete", jobs.delete),
        ("POST", _QUERIES, jobs.query),
        ("GET", _QUERIES + "/{job}", jobs.query_results),
    ]
    return [Route(path, endpoint(handler), methods=[method]) for method, path, handler in listed]


async def _healthy(_: Request) -> Response:
    return json_response({"status": "ok", "service": "bigquery-emulator"})


async def _token(_: Request) -> Response:
    """An OAuth token, for clients that insist on credentials: any is good, none is looked at."""
    return json_response({"access_token": "emulator", "token_type": "Bearer", "expires_in": 3600})


async def _uncovered(request: Request, _: Exception | None = None) -> Response:
    return error_response(unsupported(f"{request.method} {request.url.path}"))


async def _broken(_: Request, error: Exception) -> Response:
    return error_response(ApiError("internalError", f"{type(error).__name__}: {error}"))
