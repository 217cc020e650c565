"""Scripts of several statements: each a job of its own, one after the other.

DECLARE and SET give variables their values, which later statements read. A statement that fails
ends the script; what was done before it stays done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import ApiError, invalid_query, unsupported
from bigquery_emulator.jobs.job import Job, JobName, Jobs, Outcome, new_job_id
from bigquery_emulator.jobs.query_request import QueryRequest
from bigquery_emulator.jobs.statement import Translation
from bigquery_emulator.sql.queries import query_columns
from bigquery_emulator.sql.types import NULL, Type, conversion_cost, type_of_node
from bigquery_emulator.sql.variables import Variable, Variables
from bigquery_emulator.storage.database import Storage

Work = Callable[[Job], Outcome | None]


@dataclass(frozen=True)
class ScriptRunner:
    """Runs scripts.

    Args:
        storage: the store.
        jobs: where the statements are entered as jobs.
        work: what a query job of one statement has to do.
    """

    storage: Storage
    jobs: Jobs
    work: Callable[[QueryRequest], Work]

    def run(self, job: Job, request: QueryRequest) -> Outcome:
        """Runs the statements of a script.

        Raises:
            ApiError: a statement failed.
        """
        variables = Variables()
        last: Outcome | None = None
        children, processed = 0, 0
        for number, statement in enumerate(request.script):
            job.raise_if_cancelled()
            if isinstance(statement, exp.Declare):
                if any(not isinstance(one, exp.Declare) for one in request.script[:number]):
                    raise invalid_query("Variable declarations are allowed only at the start")
                self._declare(job, request, statement, variables)
            elif isinstance(statement, exp.Set):
                self._set(job, request, statement, variables)
            else:
                last = self._child(job, request, statement, variables)
                children += 1
                processed += int(last.statistics.get("totalBytesProcessed", 0))
        statistics = {
            "totalBytesProcessed": str(processed),
            "numChildJobs": str(children),
            "query": {
                "statementType": "SCRIPT",
                "totalBytesProcessed": str(processed),
                "totalBytesBilled": "0",
                "cacheHit": False,
            },
        }
        return Outcome(statistics, result=last.result if last else None)

    def _child(
        self, parent: Job, request: QueryRequest, statement: exp.Expr, variables: Variables
    ) -> Outcome:
        text = statement.sql("bigquery")
        one = replace(
            request, statement=statement, text=text, script=(), variables=variables.copy()
        )
        configuration = {"jobType": "QUERY", "query": {"query": text, "useLegacySql": False}}
        name = JobName(parent.name.project, parent.name.location, f"script_{new_job_id()}")
        child = Job(name, configuration, parent=parent.name.job_id)
        outcome = self.jobs.run_child(parent, child, self.work(one))
        if outcome.error:
            raise ApiError.from_proto(outcome.error)
        return outcome

    def _declare(
        self, job: Job, request: QueryRequest, statement: exp.Declare, variables: Variables
    ) -> None:
        for item in statement.expressions:
            names = item.this if isinstance(item.this, list) else [item.this]
            kind = item.args.get("kind")
            default = item.args.get("default")
            default = default if isinstance(default, exp.Expr) else None
            wanted = type_of_node(kind) if isinstance(kind, exp.DataType) else None
            if wanted is None and default is None:
                raise invalid_query("DECLARE needs a type or a default")
            for name in names:
                if name.name.lower() in variables:
                    raise invalid_query(f"Variable '{name.name}' redeclaration is not allowed")
                value = None
                if default is not None:
                    ((found, value),) = self._values(job, request, exp.select(default), variables)
                    if wanted is None:
                        wanted = found
                    _check_assignable(name.name, found, wanted, default)
                variables[name.name.lower()] = Variable(wanted or NULL, value)

    def _set(
        self, job: Job, request: QueryRequest, statement: exp.Set, variables: Variables
    ) -> None:
        for item in statement.expressions:
            pair = item.this
            if not isinstance(pair, exp.EQ):
                raise unsupported("this SET")
            target, value = pair.this, pair.expression
            several = isinstance(target, exp.Tuple | exp.Paren)
            names = target.expressions if isinstance(target, exp.Tuple) else [target]
            query = exp.select(value.copy())
            if several and isinstance(value, exp.Subquery):
                query = value.this.copy()
                query.set("kind", None)
            elif isinstance(target, exp.Tuple):
                query = exp.select(*[one.copy() for one in value.expressions])
            found = self._values(job, request, query, variables)
            if len(found) != len(names):
                raise invalid_query(f"SET of {len(names)} variables to {len(found)} values")
            for name, (kind, content) in zip(names, found, strict=True):
                own = name.unnest().name
                if own.lower() not in variables:
                    raise invalid_query(f"Undeclared variable: {own}")
                wanted = variables[own.lower()].kind
                _check_assignable(own, kind, wanted, value)
                variables[own.lower()] = Variable(wanted, content)

    def _values(
        self, job: Job, request: QueryRequest, query: Any, variables: Variables
    ) -> list[tuple[Type, Any]]:
        """The types and values of a query of at most one row."""
        one = replace(request, statement=query, script=(), variables=variables)
        with self.storage.snapshot() as cursor:
            translation = Translation(cursor, one, job.name.location)
            columns = query_columns(translation.statement)
            selected = ", ".join(
                f"CAST(#{at} AS VARCHAR{'[]' if kind.name == 'ARRAY' else ''})"
                if "TIMESTAMP" in str(kind)
                else f"#{at}"
                for at, (_, kind) in enumerate(columns, start=1)
            )
            sql = translation.sql(translation.statement)
            rows = translation.execute(f"SELECT {selected} FROM ({sql})").fetchmany(2)  # noqa: S608
        if len(rows) > 1:
            raise invalid_query("Scalar subquery produced more than one element")
        values = rows[0] if rows else [None] * len(columns)
        return [(kind, value) for (_, kind), value in zip(columns, values, strict=True)]


def _check_assignable(name: str, kind: Type, wanted: Type, value: exp.Expr) -> None:
    if "STRUCT" in str(wanted):
        raise unsupported("variables of the type STRUCT")
    constant = isinstance(value, exp.Literal)
    if conversion_cost(kind, wanted, constant=constant) is None:
        raise invalid_query(f"Cannot coerce expression of type {kind} to type {wanted} of {name}")
