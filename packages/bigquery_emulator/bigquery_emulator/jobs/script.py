"""Scripts: their statements one after the other, each a job of its own, and what controls them.

A statement that fails ends the script, unless it stands in a BEGIN with an EXCEPTION; what was done
before it stays done, unless a transaction is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from bigquery_emulator.errors import ApiError, invalid_query, unsupported
from bigquery_emulator.jobs.job import Job, JobName, Jobs, Outcome, new_job_id
from bigquery_emulator.jobs.query_request import QueryRequest
from bigquery_emulator.jobs.script_variables import ScriptVariables
from bigquery_emulator.jobs.sessions import Session, Sessions
from bigquery_emulator.jobs.temporary import TemporaryTables
from bigquery_emulator.sql.scripts import (
    Block,
    If,
    Immediate,
    Jump,
    Loop,
    Statement,
    Step,
    Transaction,
    parsed_script,
)
from bigquery_emulator.sql.types import STRING
from bigquery_emulator.sql.variables import Variables
from bigquery_emulator.storage.database import Storage

Work = Callable[[Job], Outcome | None]


@dataclass(frozen=True)
class ScriptRunner:
    """Runs scripts.

    Args:
        storage: the store.
        jobs: where the statements are entered as jobs.
        sessions: the sessions that a script may end.
        work: what a query job of one statement has to do.
    """

    storage: Storage
    jobs: Jobs
    sessions: Sessions
    work: Callable[[QueryRequest], Work]

    def run(self, job: Job, request: QueryRequest) -> Outcome:
        """Runs the steps of a script.

        Raises:
            ApiError: a statement failed.
        """
        own = request.session is None
        if own and [type(one) for one in request.script] == [Transaction]:
            raise invalid_query(
                "Transaction control statements are supported only in scripts or sessions"
            )
        session = request.session or Session(TemporaryTables(request.project, job.name.location))
        run = _Run(self, job, replace(request, session=session))
        try:
            run.script(request.script)
        except ApiError:
            session.roll_back()
            raise
        finally:
            if own:
                session.roll_back()
                session.temporary.drop(self.storage)
        return run.outcome()


class _JumpError(Exception):
    """A BREAK, CONTINUE or RETURN on its way out."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class _Run:
    """One run of a script."""

    def __init__(self, runner: ScriptRunner, job: Job, request: QueryRequest) -> None:
        self._runner = runner
        self._job = job
        self._request = request
        self._variables = ScriptVariables(runner.storage, job, request)
        self._last: Outcome | None = None
        self._children, self._processed = 0, 0

    def script(self, steps: Sequence[Step]) -> None:
        """Runs all steps.

        Raises:
            ApiError: a statement failed.
        """
        try:
            self._steps(steps)
        except _JumpError as jump:
            if jump.kind != "RETURN":
                raise invalid_query(f"{jump.kind} is only allowed in a loop") from jump

    def outcome(self) -> Outcome:
        """What is kept of the script's job: its rows are those of the last statement."""
        statistics = {
            "totalBytesProcessed": str(self._processed),
            "numChildJobs": str(self._children),
            "query": {
                "statementType": "SCRIPT",
                "totalBytesProcessed": str(self._processed),
                "totalBytesBilled": "0",
                "cacheHit": False,
            },
        }
        return Outcome(statistics, result=self._last.result if self._last else None)

    def _steps(self, steps: Sequence[Step]) -> None:
        """Runs the steps of a script or a block; its variables end with it."""
        declared: list[str] = []
        for number, step in enumerate(steps):
            self._job.raise_if_cancelled()
            if isinstance(step, Statement) and isinstance(step.tree, exp.Declare):
                if not all(_declares(one) for one in steps[:number]):
                    raise invalid_query("Variable declarations are allowed only at the start")
                declared += self._variables.declare(step.tree)
            else:
                self._step(step)
        for name in declared:
            del self._variables.values[name]

    def _step(self, step: Step) -> None:
        if isinstance(step, Statement):
            self._statement(step)
        elif isinstance(step, If):
            self._if(step)
        elif isinstance(step, Loop):
            self._loop(step)
        elif isinstance(step, Block):
            self._block(step)
        elif isinstance(step, Jump):
            raise _JumpError(step.kind)
        elif isinstance(step, Immediate):
            self._immediate(step)
        elif isinstance(step, Transaction):
            self._transaction(step)
        else:
            self._abort_session()

    def _statement(self, step: Statement) -> None:
        if isinstance(step.tree, exp.Set):
            self._variables.set(step.tree)
        else:
            self._child(step, self._variables.values.copy())

    def _child(self, step: Statement, variables: Variables) -> None:
        parent = self._job
        one = replace(
            self._request, statement=step.tree, text=step.text, script=(), variables=variables
        )
        configuration = {"jobType": "QUERY", "query": {"query": step.text, "useLegacySql": False}}
        name = JobName(parent.name.project, parent.name.location, f"script_{new_job_id()}")
        child = Job(name, configuration, parent=parent.name.job_id)
        outcome = self._runner.jobs.run_child(parent, child, self._runner.work(one))
        if outcome.error:
            raise ApiError.from_proto(outcome.error)
        self._last = outcome
        self._children += 1
        self._processed += int(outcome.statistics.get("totalBytesProcessed", 0))

    def _if(self, step: If) -> None:
        for condition, inner in step.branches:
            if self._variables.is_true(condition, "IF"):
                self._steps(inner)
                return
        self._steps(step.otherwise)

    def _loop(self, step: Loop) -> None:
        while True:
            self._job.raise_if_cancelled()
            if step.while_ is not None and not self._variables.is_true(step.while_, "WHILE"):
                return
            try:
                self._steps(step.steps)
            except _JumpError as jump:
                if jump.kind == "BREAK":
                    return
                if jump.kind == "RETURN":
                    raise
            if step.until is not None and self._variables.is_true(step.until, "UNTIL"):
                return

    def _block(self, step: Block) -> None:
        before = set(self._variables.values)
        try:
            self._steps(step.steps)
        except ApiError as error:
            # A cancelled script ends, and what is not supported is not an error of the script's.
            if step.handler is None or error.reason in ("stopped", "notImplemented"):
                raise
            for name in set(self._variables.values) - before:
                del self._variables.values[name]
            self._steps(step.handler)

    def _immediate(self, step: Immediate) -> None:
        ((kind, text),) = self._variables.results_of(step.text)
        if kind != STRING or text is None:
            raise invalid_query("EXECUTE IMMEDIATE needs a STRING that is not NULL")
        steps = parsed_script(text)
        if not isinstance(steps[0], Statement) or (len(steps) > 1 or _declares(steps[0])):
            raise unsupported("EXECUTE IMMEDIATE of other than one statement")
        self._child(steps[0], Variables())

    def _transaction(self, step: Transaction) -> None:
        session = self._session
        if step.kind == "BEGIN":
            session.begin(self._runner.storage)
        elif step.kind == "COMMIT":
            session.commit()
        else:
            if session.cursor is None:
                raise invalid_query("ROLLBACK TRANSACTION needs an active transaction")
            session.roll_back()

    def _abort_session(self) -> None:
        if not self._session.id:
            raise invalid_query("BQ.ABORT_SESSION needs a session")
        self._runner.sessions.end(self._session)

    @property
    def _session(self) -> Session:
        session = self._request.session
        assert session is not None  # noqa: S101 - a script that runs has one
        return session


def _declares(step: Step) -> bool:
    return isinstance(step, Statement) and isinstance(step.tree, exp.Declare)
