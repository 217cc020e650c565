"""A query's configuration, read and checked before its job starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid, unsupported
from bigquery_emulator.jobs.destination import Destination
from bigquery_emulator.sql.definitions import definition_kind
from bigquery_emulator.sql.parsing import DEFINITIONS, SCRIPT_ONLY, parsed_script, understood
from bigquery_emulator.sql.variables import Variables

_HANDLED = {
    "clustering",
    "createDisposition",
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
        script: the statements, if there are several; the first is `statement`.
        variables: of the script that the statement is one of.
    """

    project: str
    statement: exp.Expr
    text: str
    default: tuple[str, str] | None
    parameters: list[dict[str, Any]]
    destination: Destination | None
    script: tuple[exp.Expr, ...] = ()
    variables: Variables = field(default_factory=Variables)

    @property
    def datasets(self) -> list[str]:
        """The datasets that the query names, from whose location the job takes its own."""
        statements = self.script or (self.statement,)
        named = [table.db for one in statements for table in one.find_all(exp.Table) if table.db]
        chosen = [self.destination.name.dataset] if self.destination else []
        default = [self.default[1]] if self.default else []
        return [*named, *chosen, *default]

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
        statements = parsed_script(query["query"])
        statement = statements[0]
        for one in statements:
            if isinstance(one, DEFINITIONS):
                with understood():
                    definition_kind(one)
        is_script = len(statements) > 1 or isinstance(statement, SCRIPT_ONLY)
        if is_script and query.get("queryParameters"):
            raise unsupported("parameters of scripts")
        default = query.get("defaultDataset") or {}
        destination = query.get("destinationTable")
        if destination and (is_script or not isinstance(statement, exp.Query)):
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
            script=tuple(statements) if is_script else (),
        )
