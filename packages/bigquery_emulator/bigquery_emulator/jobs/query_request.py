"""A query's configuration, read and checked before its job starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid, unsupported
from bigquery_emulator.jobs.destination import Destination
from bigquery_emulator.jobs.sessions import Session
from bigquery_emulator.sql.definitions import definition_kind
from bigquery_emulator.sql.metadata_views import metadata_view
from bigquery_emulator.sql.parsing import DEFINITIONS, understood
from bigquery_emulator.sql.scripts import Statement, Step, is_script, parsed_script, statements_of
from bigquery_emulator.sql.tables import TableNames
from bigquery_emulator.sql.variables import Variables
from bigquery_emulator.storage.database import Cursor, Storage

_HANDLED = {
    "clustering",
    "connectionProperties",
    "createDisposition",
    "createSession",
    "defaultDataset",
    "destinationTable",
    "parameterMode",
    "query",
    "queryParameters",
    "schemaUpdateOptions",
    "timePartitioning",
    "writeDisposition",
}
# Options that change how BigQuery works or bills, and not what it answers.
_WITHOUT_EFFECT = {
    "allowLargeResults",
    "flattenResults",
    "maximumBillingTier",
    "maximumBytesBilled",
    "priority",
    "useQueryCache",
}


@dataclass(frozen=True)
class QueryRequest:
    """A checked query configuration.

    Attributes:
        project: where the job runs, and where tables without a project are looked for.
        statement: the parsed SQL; to be copied, never changed.
        text: the SQL as it came.
        default: project and dataset of tables without a dataset.
        parameters: the API's queryParameters.
        destination: the table for the rows, if the client chose one.
        script: the steps, if it is a script.
        variables: of the script that the statement is one of.
        session: what it shares with other jobs or statements, if it does.
        session_id: the session that the client named, to be found.
        creates_session: whether the client asked for a new session.
    """

    project: str
    statement: exp.Expr
    text: str
    default: tuple[str, str] | None
    parameters: list[dict[str, Any]]
    destination: Destination | None
    script: tuple[Step, ...] = ()
    variables: Variables = field(default_factory=Variables)
    session: Session | None = None
    session_id: str | None = None
    creates_session: bool = False

    @property
    def datasets(self) -> list[str]:
        """The datasets that the query names, from whose location the job takes its own."""
        trees = [one.tree for one in statements_of(self.script)] or [self.statement]
        named = [table.db for one in trees for table in one.find_all(exp.Table) if table.db]
        chosen = [self.destination.name.dataset] if self.destination else []
        default = [self.default[1]] if self.default else []
        return [*named, *chosen, *default]

    def table_names(self, cursor: Cursor, location: str | None = None) -> TableNames:
        """Finds the tables that the query names."""
        temporary = self.session.temporary.dataset if self.session else None
        return TableNames(cursor, self.project, self.default, metadata_view, location, temporary)

    @property
    def transaction(self) -> Cursor | None:
        """The cursor in the session's open transaction, if there is one."""
        return self.session.cursor if self.session else None

    @contextmanager
    def reading(self, storage: Storage) -> Iterator[Cursor]:
        """A cursor to read with: in the open transaction, or in one of its own."""
        if self.transaction is not None:
            yield self.transaction
        else:
            with storage.snapshot() as cursor:
                yield cursor

    @classmethod
    def from_configuration(cls, query: dict[str, Any], project: str) -> QueryRequest:
        """Reads the API's JobConfigurationQuery.

        Raises:
            ApiError: it is wrong, or asks for something that is not supported.
        """
        if query.get("useLegacySql", True):
            raise unsupported("legacy SQL, which is meant unless useLegacySql is false")
        meant = {key for key, value in query.items() if value not in (None, {}, [], "", False)}
        if extra := sorted(meant - _HANDLED - _WITHOUT_EFFECT):
            raise unsupported(f"the query option {extra[0]}")
        if not query.get("query"):
            raise invalid("Required parameter is missing: query")
        steps = parsed_script(query["query"])
        for one in statements_of(steps):
            if isinstance(one.tree, DEFINITIONS):
                with understood():
                    definition_kind(one.tree)
        first, several = steps[0], is_script(steps)
        statement = first.tree if isinstance(first, Statement) else exp.Null()
        if several and query.get("queryParameters"):
            raise unsupported("parameters of scripts")
        default = query.get("defaultDataset") or {}
        destination = query.get("destinationTable")
        if destination and (several or not isinstance(statement, exp.Query)):
            raise invalid("Cannot set destination table in jobs with DDL or DML statements")
        return cls(
            project=project,
            statement=statement,
            text=query["query"],
            default=(default.get("projectId") or project, default["datasetId"])
            if default
            else None,
            parameters=query.get("queryParameters") or [],
            destination=Destination.from_configuration(query, default_write="WRITE_EMPTY")
            if destination
            else None,
            script=steps if several else (),
            session_id=_session_id(query.get("connectionProperties") or []),
            creates_session=bool(query.get("createSession")),
        )


def _session_id(properties: list[dict[str, Any]]) -> str | None:
    given = {str(one.get("key")): one.get("value") for one in properties}
    if extra := sorted(set(given) - {"session_id"}):
        raise unsupported(f"the connection property {extra[0]}")
    return given.get("session_id")
