"""Jobs as the API shows them, and the configurations as clients may send them."""

from __future__ import annotations

import copy
from typing import Any

from bigquery_emulator.api.http_calls import etag
from bigquery_emulator.errors import invalid, unsupported
from bigquery_emulator.jobs.job import Job

# Integers of the API that clients send as strings, and that answers must not.
_INT32 = {"skipLeadingRows", "maxBadRecords", "maximumBillingTier"}
_KINDS = {"load": "LOAD", "query": "QUERY", "copy": "COPY", "extract": "EXTRACT"}
_COMMON = {"dryRun", "jobTimeoutMs", "jobType", "labels"}


def checked_configuration(configuration: dict[str, Any]) -> dict[str, Any]:
    """A job's configuration as it is kept and answered.

    Raises:
        ApiError: it is not of one kind of job, or of a kind that is not supported.
    """
    kinds = [kind for kind in _KINDS if kind in configuration]
    if len(kinds) != 1:
        raise invalid("Required parameter is missing: configuration of exactly one kind of job")
    kind = kinds[0]
    if kind == "extract":
        raise unsupported(f"{kind} jobs")
    meant = {key for key, value in configuration.items() if value not in (None, {}, [], "")}
    if extra := sorted(meant - _COMMON - {kind}):
        raise unsupported(f"the job option {extra[0]}")
    kept = copy.deepcopy({key: configuration[key] for key in meant | {kind}})
    for key in _INT32 & set(kept[kind]):
        try:
            kept[kind][key] = int(kept[kind][key])
        except (TypeError, ValueError) as error:
            raise invalid(f"Invalid value for {key}: {kept[kind][key]}") from error
    return kept | {"jobType": _KINDS[kind]}


def reference(job: Job) -> dict[str, str]:
    """The API's jobReference."""
    name = job.name
    return {"projectId": name.project, "jobId": name.job_id, "location": name.location}


def session_info(job: Job) -> dict[str, Any]:
    """The API's sessionInfo of a job that runs in a session."""
    return {"sessionInfo": {"sessionId": job.session}} if job.session else {}


def shown(job: Job, base_url: str) -> dict[str, Any]:
    """The API's Job."""
    name = job.name
    path = f"/bigquery/v2/projects/{name.project}/jobs/{name.job_id}?location={name.location}"
    return summary(job) | {
        "kind": "bigquery#job",
        "etag": etag(name, job.state),
        "selfLink": base_url + path,
    }


def summary(job: Job) -> dict[str, Any]:
    """The job as jobs.list shows it, but for the errorResult and state on top."""
    body: dict[str, Any] = {
        "kind": "bigquery#job",
        "id": str(job.name),
        "user_email": "emulator@localhost",
        "configuration": _shown_configuration(job),
        "jobReference": reference(job),
        "statistics": _statistics(job),
        "status": status(job),
    }
    return body


def listed_job(job: Job) -> dict[str, Any]:
    """The job as jobs.list shows it."""
    body = summary(job) | {"state": job.state}
    if job.outcome and job.outcome.error:
        body["errorResult"] = job.outcome.error
    return body


def status(job: Job) -> dict[str, Any]:
    """The API's JobStatus."""
    body: dict[str, Any] = {"state": job.state}
    if job.outcome and job.outcome.error:
        body |= {"errorResult": job.outcome.error, "errors": [job.outcome.error]}
    return body


def _shown_configuration(job: Job) -> dict[str, Any]:
    configuration = job.configuration
    result = job.outcome.result if job.outcome else None
    written = job.outcome.written if job.outcome else None
    if written:
        # Clients look there for what CREATE TABLE AS SELECT and DML wrote.
        query = configuration["query"] | {"destinationTable": written}
        return configuration | {"query": query}
    if result and "query" in configuration and "destinationTable" not in configuration["query"]:
        # BigQuery shows where it keeps a query's rows, and clients page through that table.
        table = {
            "projectId": job.name.project,
            "datasetId": result["dataset"],
            "tableId": result["table"],
        }
        query = configuration["query"] | {"destinationTable": table}
        configuration = configuration | {"query": query}
    return configuration


def _statistics(job: Job) -> dict[str, Any]:
    body: dict[str, Any] = {"creationTime": str(job.created_ms)} | session_info(job)
    if job.parent is not None:
        body["parentJobId"] = job.parent
    if job.started_ms is not None:
        body["startTime"] = str(job.started_ms)
    if job.outcome is not None:
        body |= job.outcome.statistics
        body["endTime"] = str(job.outcome.ended_ms)
    return body
