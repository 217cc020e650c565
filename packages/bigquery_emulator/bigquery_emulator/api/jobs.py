"""The API's jobs: insert, get, list, cancel, delete, query, getQueryResults."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from bigquery_emulator.api.http_calls import Call, etag, listed
from bigquery_emulator.api.job_resource import (
    checked_configuration,
    listed_job,
    reference,
    session_info,
    shown,
)
from bigquery_emulator.api.pages import Page, read_page
from bigquery_emulator.errors import ApiError, invalid, unsupported
from bigquery_emulator.jobs.copy import Copier, CopyRequest
from bigquery_emulator.jobs.job import Job, JobName, Jobs, Outcome, new_job_id
from bigquery_emulator.jobs.load import Files, Loader, LoadRequest
from bigquery_emulator.jobs.query import QueryRunner
from bigquery_emulator.jobs.query_request import QueryRequest
from bigquery_emulator.jobs.sessions import Session, Sessions
from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.catalog import now_ms
from bigquery_emulator.storage.database import Storage
from bigquery_emulator.storage.results import ResultTable

_DEFAULT_WAIT_MS = 10_000
_LONGEST_WAIT_MS = 200_000
_QUERY_REQUEST_ONLY = {
    "dryRun",
    "formatOptions",
    "jobCreationMode",
    "jobTimeoutMs",
    "kind",
    "labels",
    "location",
    "maxResults",
    "requestId",
    "timeoutMs",
}


@dataclass(frozen=True)
class JobApi:
    """Answers requests about jobs."""

    storage: Storage
    jobs: Jobs
    loader: Loader
    copier: Copier
    queries: QueryRunner
    sessions: Sessions

    def insert(self, call: Call) -> dict[str, Any]:
        """Starts a job, and answers at once."""
        configuration = checked_configuration(call.body.get("configuration") or {})
        named = call.body.get("jobReference") or {}
        if configuration.get("dryRun"):
            return shown(self._dry_run(call.path["project"], configuration, named), call.base_url)
        return shown(self._started(call.path["project"], configuration, named), call.base_url)

    def insert_upload(
        self, project: str, body: dict[str, Any], upload: AbstractContextManager[Files]
    ) -> Job:
        """Starts a load job whose file came with the request."""
        configuration = checked_configuration(body.get("configuration") or {})
        if configuration["jobType"] != "LOAD":
            raise invalid("Only load jobs take an upload")
        request = LoadRequest.from_configuration(configuration["load"], uploaded=True)
        datasets = [request.destination.name.dataset]
        job = self._job(project, configuration, body.get("jobReference") or {}, datasets)
        return self.jobs.start(job, self.loader.work(request, upload))

    def get(self, call: Call) -> dict[str, Any]:
        """Shows a job."""
        return shown(self._found(call), call.base_url)

    def list(self, call: Call) -> dict[str, Any]:
        """Lists the jobs of a project, newest first."""
        states = call.query.get("stateFilter", "").upper()
        jobs = [
            job
            for job in self.jobs.all_of(call.path["project"])
            if job.parent == call.query.get("parentJobId")
            and (not states or job.state in states)
            and job.created_ms >= int(call.query.get("minCreationTime") or 0)
            and job.created_ms <= int(call.query.get("maxCreationTime") or job.created_ms)
        ]
        page, token = listed([listed_job(job) for job in jobs], call.query)
        return {"kind": "bigquery#jobList", "etag": etag(page), "jobs": page} | token

    def cancel(self, call: Call) -> dict[str, Any]:
        """Asks a job to stop."""
        job = self._found(call)
        job.cancel()
        return {"kind": "bigquery#jobCancelResponse", "job": shown(job, call.base_url)}

    def delete(self, call: Call) -> None:
        """Forgets a job that is done."""
        job = self._found(call)
        if job.state != "DONE":
            raise invalid(f"Job {job.name} is not done")
        self.jobs.delete(job)

    def query(self, call: Call) -> dict[str, Any]:
        """Runs a query and answers its first page, if it is done in time."""
        body = call.body
        configuration: dict[str, Any] = {
            "query": {key: value for key, value in body.items() if key not in _QUERY_REQUEST_ONLY}
        }
        for key in ("dryRun", "labels", "jobTimeoutMs"):
            if body.get(key):
                configuration[key] = body[key]
        configuration = checked_configuration(configuration)
        project, named = call.path["project"], {"location": body.get("location")}
        if configuration.get("dryRun"):
            return _dry_answer(self._dry_run(project, configuration, named))
        job = self._started_once(project, configuration, named, body.get("requestId"))
        page_query = {
            f"formatOptions.{key}": str(value).lower()
            for key, value in (body.get("formatOptions") or {}).items()
        }
        if body.get("maxResults") is not None:
            page_query["maxResults"] = str(body["maxResults"])
        wait_ms = int(body.get("timeoutMs") or _DEFAULT_WAIT_MS)
        answer = self._query_answer(job, Page.from_query(page_query), wait_ms)
        return answer | session_info(job) | {"kind": "bigquery#queryResponse"}

    def _started_once(
        self,
        project: str,
        configuration: dict[str, Any],
        named: dict[str, Any],
        request_id: str | None,
    ) -> Job:
        """Starts a query, unless the request is a repeated one: then its job is found again."""
        if not request_id:
            return self._started(project, configuration, named)
        digest = hashlib.sha256(request_id.encode()).hexdigest()[:32]
        named = named | {"jobId": f"job_{digest}"}
        try:
            return self._started(project, configuration, named)
        except ApiError as error:
            if error.reason != "duplicate":
                raise
            return self.jobs.find(project, named["jobId"])

    def query_results(self, call: Call) -> dict[str, Any]:
        """A page of a query's rows, once it is done."""
        job = self._found(call)
        wait_ms = int(call.query.get("timeoutMs") or _DEFAULT_WAIT_MS)
        answer = self._query_answer(job, Page.from_query(call.query), wait_ms)
        answer["etag"] = etag(answer)
        return answer | {"kind": "bigquery#getQueryResultsResponse"}

    def _query_answer(self, job: Job, page: Page, wait_ms: int) -> dict[str, Any]:
        if "query" not in job.configuration:
            raise invalid(f"Job {job.name} is not a query job")
        body: dict[str, Any] = {"jobReference": reference(job), "jobComplete": False}
        if not job.done.wait(min(wait_ms, _LONGEST_WAIT_MS) / 1000):
            return body
        outcome = self.jobs.find(job.name.project, job.name.job_id, job.name.location).outcome
        if outcome is None:
            return body
        if outcome.error:
            raise ApiError.from_proto(outcome.error)
        query = outcome.statistics["query"]
        body |= {
            "jobComplete": True,
            "cacheHit": False,
            "totalBytesProcessed": outcome.statistics["totalBytesProcessed"],
        }
        if "numDmlAffectedRows" in query:
            body["numDmlAffectedRows"] = query["numDmlAffectedRows"]
        if outcome.result is None:
            return body | {"totalRows": "0", "schema": {}}
        with self.storage.snapshot() as cursor:
            table = ResultTable.from_entry(outcome.result)
            rows = read_page(cursor, table, page)
        return body | {"schema": {"fields": table.fields}} | rows

    def _started(self, project: str, configuration: dict[str, Any], named: dict[str, Any]) -> Job:
        work: Callable[[Job], Outcome | None]
        if configuration["jobType"] == "COPY":
            copy = CopyRequest.from_configuration(configuration["copy"])
            work, datasets = self.copier.work(copy), copy.datasets
        elif configuration["jobType"] == "LOAD":
            load = LoadRequest.from_configuration(configuration["load"], uploaded=False)
            work = self.loader.work(load)
            datasets = [load.destination.name.dataset]
        else:
            return self._started_query(project, configuration, named)
        job = self._job(project, configuration, named, datasets)
        return self.jobs.start(job, work)

    def _started_query(
        self, project: str, configuration: dict[str, Any], named: dict[str, Any]
    ) -> Job:
        query = QueryRequest.from_configuration(configuration["query"], project)
        if query.creates_session and query.session_id:
            raise invalid("createSession and the connection property session_id exclude each other")
        session = self.sessions.find(project, query.session_id) if query.session_id else None
        if session is not None:
            named = {"location": session.temporary.location} | {
                key: value for key, value in named.items() if value
            }
        job = self._job(project, configuration, named, query.datasets)
        if query.creates_session:
            session = self.sessions.new(project, job.name.location)
        if session is None:
            return self.jobs.start(job, self.queries.work(query))
        job.session = session.id
        work = self.queries.work(replace(query, session=session))
        return self.jobs.start(job, _alone_in(session, work))

    def _dry_run(self, project: str, configuration: dict[str, Any], named: dict[str, Any]) -> Job:
        if configuration["jobType"] != "QUERY":
            raise unsupported("dry runs of other jobs than queries")
        request = QueryRequest.from_configuration(configuration["query"], project)
        job = self._job(project, configuration, named, request.datasets)
        job.started_ms = job.created_ms
        job.outcome = self.queries.dry_run(request, job.name.location)
        job.outcome.ended_ms = now_ms()
        return job

    def _job(
        self,
        project: str,
        configuration: dict[str, Any],
        named: dict[str, Any],
        datasets: Sequence[str],
    ) -> Job:
        location = named.get("location") or self._location_of(project, datasets)
        name = JobName(project, location, named.get("jobId") or new_job_id())
        return Job(name, configuration)

    def _location_of(self, project: str, datasets: Sequence[str]) -> str:
        """Where a job runs that did not say so: where the first of its datasets lies."""
        with self.storage.snapshot() as cursor:
            existing = {one.dataset: one.location for one in catalog.list_datasets(cursor, project)}
        return next((existing[name] for name in datasets if name in existing), "US")

    def _found(self, call: Call) -> Job:
        return self.jobs.find(call.path["project"], call.path["job"], call.query.get("location"))


def _alone_in(
    session: Session, work: Callable[[Job], Outcome | None]
) -> Callable[[Job], Outcome | None]:
    """Work that waits for the other jobs of its session."""

    def run(job: Job) -> Outcome | None:
        with session.lock:
            return work(job)

    return run


def _dry_answer(job: Job) -> dict[str, Any]:
    assert job.outcome is not None  # noqa: S101 - a dry run is done when it returns
    statistics = job.outcome.statistics
    return {
        "kind": "bigquery#queryResponse",
        "jobReference": reference(job),
        "jobComplete": True,
        "cacheHit": False,
        "totalRows": "0",
        "totalBytesProcessed": statistics["totalBytesProcessed"],
        "schema": statistics["query"].get("schema", {}),
    }
