"""Jobs: their identity, their states, and what is kept of them.

What a job does is in load.py and query.py; how the API shows one is in api/job_resource.py. A job
id runs once and never again. A job is entered before it starts, and its outcome is written in the
same transaction as its data, so that after a kill a job either has its outcome and its data, or
neither.
"""

# ruff: noqa: S608 - SQL is put together from constants, values are parameters

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from bigquery_emulator.errors import ApiError, duplicate, not_found
from bigquery_emulator.storage.catalog import now_ms
from bigquery_emulator.storage.database import Cursor, Storage

_INTERRUPT_SECONDS = 0.05
_KILLED = ApiError(
    "backendError",
    "The job was running when the emulator stopped. Nothing of it was kept. "
    "Retry it with another job id.",
)


@dataclass(frozen=True)
class JobName:
    """What identifies a job."""

    project: str
    location: str
    job_id: str

    def __str__(self) -> str:
        return f"{self.project}:{self.location}.{self.job_id}"


@dataclass
class Outcome:
    """What is kept of a finished job.

    Attributes:
        statistics: the API's JobStatistics, but for the times.
        error: the API's ErrorProto, if the job failed.
        result: where a query's rows are: `results.ResultTable` as a dict.
        written: the API's tableReference of the table that DML or CREATE TABLE AS SELECT wrote.
        started_ms: when it started.
        ended_ms: when it ended.
    """

    statistics: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    written: dict[str, Any] | None = None
    started_ms: int = 0
    ended_ms: int = 0


@dataclass
class Job:
    """One job, running or done."""

    name: JobName
    configuration: dict[str, Any]
    created_ms: int = field(default_factory=now_ms)
    started_ms: int | None = None
    outcome: Outcome | None = None
    done: threading.Event = field(default_factory=threading.Event)
    cancelled: bool = False
    parent: str | None = None
    session: str | None = None
    child: Job | None = None
    _cursor: Cursor | None = None

    @property
    def state(self) -> str:
        """The API's state."""
        if self.outcome is not None:
            return "DONE"
        return "PENDING" if self.started_ms is None else "RUNNING"

    def works_with(self, cursor: Cursor) -> Cursor:
        """Makes a cursor known, so that a cancellation can interrupt it.

        Raises:
            ApiError: the job was cancelled before it came here.
        """
        self._cursor = cursor
        self.raise_if_cancelled()
        return cursor

    def raise_if_cancelled(self) -> None:
        """Ends the work of a cancelled job.

        Raises:
            ApiError: the job was cancelled.
        """
        if self.cancelled:
            message = "Job execution was cancelled: User requested cancellation"
            raise ApiError("stopped", message)

    def cancel(self) -> None:
        """Asks the job to stop; it may still end well if it is nearly done."""
        self.cancelled = True
        if self.child is not None and not self.child.done.is_set():
            self.child.cancel()
        threading.Thread(target=self._interrupt_until_done, daemon=True).start()

    def _interrupt_until_done(self) -> None:
        # Again and again: DuckDB forgets an interrupt that comes between two statements.
        while not self.done.wait(_INTERRUPT_SECONDS):
            if self._cursor is not None:
                self._cursor.interrupt()


Work = Callable[[Job], Outcome | None]


class Jobs:
    """All jobs of a store, and the threads that run them.

    Jobs that are done are read from the store, so that memory does not grow with their number.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._active: dict[JobName, Job] = {}
        # Loads wait for each other, and must not make queries wait.
        self._threads = {
            "LOAD": ThreadPoolExecutor(2, thread_name_prefix="load"),
            "QUERY": ThreadPoolExecutor(8, thread_name_prefix="query"),
        }
        self._closing = False
        self._end_killed_jobs()

    def _end_killed_jobs(self) -> None:
        """Gives an outcome to the jobs that were running when the process ended."""
        outcome = Outcome(error=_KILLED.proto(), started_ms=now_ms(), ended_ms=now_ms())
        with self._storage.transaction() as cursor:
            cursor.execute(
                "INSERT INTO meta.job_outcomes SELECT project, location, job_id, $outcome "
                "FROM meta.jobs ANTI JOIN meta.job_outcomes USING (project, location, job_id)",
                {"outcome": json.dumps(asdict(outcome))},
            )

    def start(self, job: Job, work: Work) -> Job:
        """Enters a job and runs its work in another thread.

        Args:
            job: the new job.
            work: does the job. Returns the outcome, to be recorded here, or None if it recorded
                it itself with `record`, in the transaction of its data.

        Raises:
            ApiError: the job id was used before.
        """
        self._enter(job)
        kind = job.configuration["jobType"]
        self._threads["QUERY" if kind == "QUERY" else "LOAD"].submit(self._run, job, work)
        return job

    def run_child(self, parent: Job, job: Job, work: Work) -> Outcome:
        """Runs a statement of a script as a job of its own, in the script's thread."""
        self._enter(job)
        self._run(job, lambda child: work(_cancelled_with(parent, child)))
        outcome = self.find(job.name.project, job.name.job_id, job.name.location).outcome
        assert outcome is not None  # noqa: S101 - the job is done
        return outcome

    def _enter(self, job: Job) -> None:
        entry = {
            "configuration": job.configuration,
            "created_ms": job.created_ms,
            "parent": job.parent,
            "session": job.session,
        }
        with self._lock:
            if self._closing:
                raise ApiError("backendError", "The emulator is stopping")
            with self._storage.transaction() as cursor:
                used = cursor.execute(
                    "SELECT 1 FROM meta.jobs WHERE project = $project AND location = $location "
                    "AND job_id = $job_id",
                    asdict(job.name),
                ).fetchone()
                if used:
                    raise duplicate(f"Job {job.name}")
                cursor.execute(
                    "INSERT INTO meta.jobs VALUES ($project, $location, $job_id, $resource)",
                    asdict(job.name) | {"resource": json.dumps(entry)},
                )
            self._active[job.name] = job

    def _run(self, job: Job, work: Work) -> None:
        job.started_ms = now_ms()
        try:
            job.raise_if_cancelled()
            outcome = work(job)
            if outcome is not None:
                self._record_alone(job, outcome)
        except ApiError as error:
            self._record_alone(job, Outcome(error=error.proto()))
        except Exception as error:  # noqa: BLE001 - a job must end, whatever happened in it
            proto = ApiError("internalError", f"{type(error).__name__}: {error}").proto()
            self._record_alone(job, Outcome(error=proto))
        finally:
            with self._lock:
                self._active.pop(job.name, None)
            job.done.set()

    def _record_alone(self, job: Job, outcome: Outcome) -> None:
        if self._closing and outcome.error:
            return  # interrupted by the stop: the next start reports it as such
        if job.cancelled and outcome.error:
            outcome.error["reason"] = "stopped"
        with self._storage.transaction() as cursor:
            self.record(cursor, job, outcome)

    def record(self, cursor: Cursor, job: Job, outcome: Outcome) -> None:
        """Writes a job's outcome in the caller's transaction, which must then commit."""
        outcome.started_ms = job.started_ms or job.created_ms
        outcome.ended_ms = now_ms()
        cursor.execute(
            "INSERT INTO meta.job_outcomes VALUES ($project, $location, $job_id, $resource)",
            asdict(job.name) | {"resource": json.dumps(asdict(outcome))},
        )

    def find(self, project: str, job_id: str, location: str | None = None) -> Job:
        """The job of that name.

        Raises:
            ApiError: there is none, or it is in another location.
        """
        with self._lock:
            job = self._find(project, job_id, location)
        if job is None:
            raise not_found(f"Job {JobName(project, location or 'US', job_id)}")
        return job

    def _find(self, project: str, job_id: str, location: str | None) -> Job | None:
        for name, job in self._active.items():
            if (name.project, name.job_id) == (project, job_id) and location in (
                None,
                name.location,
            ):
                return job
        found = self._stored(
            "WHERE j.project = $project AND j.job_id = $job_id "
            "AND ($location IS NULL OR j.location = $location)",
            {"project": project, "job_id": job_id, "location": location},
        )
        return found[0] if found else None

    def all_of(self, project: str) -> list[Job]:
        """All jobs of a project, newest first."""
        with self._lock:
            stored = self._stored("WHERE j.project = $project", {"project": project})
            jobs = [self._active.get(job.name, job) for job in stored]
        return sorted(jobs, key=lambda job: job.created_ms, reverse=True)

    def _stored(self, condition: str, parameters: dict[str, Any]) -> list[Job]:
        rows = (
            self._storage.cursor()
            .execute(
                "SELECT j.project, j.location, j.job_id, j.resource, o.resource "
                "FROM meta.jobs j LEFT JOIN meta.job_outcomes o "
                f"USING (project, location, job_id) {condition} AND j.resource <> 'deleted'",
                parameters,
            )
            .fetchall()
        )
        return [_stored_job(JobName(*row[:3]), row[3], row[4]) for row in rows]

    def delete(self, job: Job) -> None:
        """Forgets a job that is done, but for its id, which stays used."""
        named = "WHERE project = $project AND location = $location AND job_id = $job_id"
        with self._lock, self._storage.transaction() as cursor:
            cursor.execute(f"DELETE FROM meta.job_outcomes {named}", asdict(job.name))
            cursor.execute(f"UPDATE meta.jobs SET resource = 'deleted' {named}", asdict(job.name))

    def close(self) -> None:
        """Interrupts what runs and waits for the threads."""
        with self._lock:
            self._closing = True
            running = list(self._active.values())
        for job in running:
            job.cancel()
        for threads in self._threads.values():
            threads.shutdown(cancel_futures=True)


def _cancelled_with(parent: Job, child: Job) -> Job:
    """The child, which a cancellation of its parent interrupts."""
    parent.child = child
    child.cancelled = parent.cancelled
    return child


def _stored_job(name: JobName, entry: str, outcome: str | None) -> Job:
    parsed = json.loads(entry)
    job = Job(name, parsed["configuration"], parsed["created_ms"], parent=parsed.get("parent"))
    job.session = parsed.get("session")
    # Without an outcome, and not among the active, it is one whose outcome could not be written.
    job.outcome = Outcome(**json.loads(outcome)) if outcome else Outcome(error=_KILLED.proto())
    job.started_ms = job.outcome.started_ms
    job.done.set()
    return job


def new_job_id() -> str:
    """A job id for a client that chose none."""
    return f"job_{secrets.token_urlsafe(20)}"
