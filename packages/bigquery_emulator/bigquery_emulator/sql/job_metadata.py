"""INFORMATION_SCHEMA.JOBS: the jobs of a project that are done, with the scalar columns."""

from __future__ import annotations

import json
from typing import Any

from bigquery_emulator.storage.database import Cursor

JOB_COLUMNS = {
    "creation_time": "TIMESTAMP",
    "project_id": "STRING",
    "user_email": "STRING",
    "job_id": "STRING",
    "parent_job_id": "STRING",
    "job_type": "STRING",
    "statement_type": "STRING",
    "start_time": "TIMESTAMP",
    "end_time": "TIMESTAMP",
    "query": "STRING",
    "state": "STRING",
    "total_bytes_processed": "INT64",
    "total_bytes_billed": "INT64",
    "cache_hit": "BOOL",
}


def job_rows(cursor: Cursor, project: str) -> list[list[Any]]:
    """The rows of the view; a moment is a tuple of its milliseconds."""
    found = cursor.execute(
        "SELECT j.job_id, j.resource, o.resource FROM meta.jobs j "
        "JOIN meta.job_outcomes o USING (project, location, job_id) "
        "WHERE j.project = $project AND j.resource <> 'deleted'",
        {"project": project},
    ).fetchall()
    return [_row(project, job_id, json.loads(job), json.loads(end)) for job_id, job, end in found]


def _row(project: str, job_id: str, job: dict[str, Any], outcome: dict[str, Any]) -> list[Any]:
    configuration, statistics = job["configuration"], outcome["statistics"]
    query = statistics.get("query", {})
    processed = statistics.get("totalBytesProcessed")
    return [
        (job["created_ms"],),
        project,
        "emulator@localhost",
        job_id,
        job.get("parent"),
        configuration["jobType"],
        query.get("statementType"),
        (outcome["started_ms"],),
        (outcome["ended_ms"],),
        configuration.get("query", {}).get("query"),
        "DONE",
        None if processed is None else int(processed),
        0 if query else None,
        query.get("cacheHit"),
    ]
