"""CREATE, ALTER and DROP of tables and datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from bigquery_emulator.api.datasets import create_dataset, delete_dataset
from bigquery_emulator.api.tables import check_table_id, checked_resource
from bigquery_emulator.errors import ApiError, duplicate, invalid_query, unsupported
from bigquery_emulator.sql.declared_columns import declared_field, option_value
from bigquery_emulator.sql.parsing import check_supported
from bigquery_emulator.storage import catalog, segments
from bigquery_emulator.storage.catalog import TableName
from bigquery_emulator.storage.column_types import Field, field_named
from bigquery_emulator.storage.database import Storage, quoted
from bigquery_emulator.storage.schema_change import add_column, relax_column

if TYPE_CHECKING:
    from bigquery_emulator.jobs.query import Translation

_UNDERSTOOD = set("this kind exists replace properties expression tables cascade actions".split())
_ADDED_COLUMN = {"this", "kind", "constraints", "exists"}
_TRUNCATIONS = (exp.DateTrunc, exp.TimestampTrunc, exp.DatetimeTrunc)
_OPTIONS = {
    "description": "description",
    "friendly_name": "friendlyName",
    "labels": "labels",
    "require_partition_filter": "requirePartitionFilter",
    "location": "location",
}

Done = tuple[str, dict[str, Any]]


def definition_kind(statement: Any) -> str:
    """The API's statementType of a CREATE, ALTER or DROP.

    Raises:
        ApiError: the statement is not supported.
    """
    for name, value in statement.args.items():
        if value and name not in _UNDERSTOOD:
            raise unsupported(f"{name.upper()} in {statement.key.upper()}")
    kind = str(statement.args.get("kind") or "").upper()
    if isinstance(statement, exp.Alter) and kind == "TABLE":
        _check_alterations(statement)
        return "ALTER_TABLE"
    verb = "CREATE" if isinstance(statement, exp.Create) else statement.key.upper()
    if (
        kind not in ("TABLE", "SCHEMA")
        or verb == "ALTER"
        or (verb == "DROP" and len(statement.args["tables"]) > 1)
    ):
        raise unsupported(f"{verb} {kind}")
    _properties(statement)
    if verb == "CREATE" and statement.expression:
        check_supported(statement.expression)
        return "CREATE_TABLE_AS_SELECT"
    return f"{verb}_{kind}"


def _check_alterations(statement: exp.Alter) -> None:
    """Refuses what ALTER TABLE may do besides adding and relaxing columns."""
    for action in statement.args["actions"]:
        meant = {name for name, value in action.args.items() if value}
        adds = isinstance(action, exp.ColumnDef) and meant <= _ADDED_COLUMN
        relaxes = isinstance(action, exp.AlterColumn) and meant == {"this", "drop", "allow_null"}
        if not adds and not relaxes:
            raise unsupported("ALTER TABLE but for ADD COLUMN and ALTER COLUMN ... DROP NOT NULL")
        if adds:
            declared_field(action)


class Definitions:
    """Runs a CREATE, ALTER or DROP in the transaction of its translation."""

    def __init__(self, storage: Storage, translation: Translation) -> None:
        self._storage = storage
        self._translation = translation
        self._statement: Any = translation.statement
        self._cursor = translation.cursor

    def run(self) -> Done:
        """Does what the statement says.

        Returns:
            The API's statementType, and more of the query's statistics.

        Raises:
            ApiError: BigQuery would refuse it, or it is not supported.
        """
        kind = definition_kind(self._statement)
        if kind == "CREATE_SCHEMA":
            return kind, self._create_schema()
        if kind == "DROP_SCHEMA":
            return kind, self._drop_schema()
        if kind == "DROP_TABLE":
            return kind, self._drop_table()
        if kind == "ALTER_TABLE":
            return kind, self._alter_table()
        return kind, self._create_table()

    def _create_schema(self) -> dict[str, Any]:
        project, dataset = self._dataset_name(self._statement.this)
        properties = _properties(self._statement)
        if extra := sorted(set(properties) - {"location", "description", "labels", "friendlyName"}):
            raise unsupported(f"the option {extra[0]} of CREATE SCHEMA")
        resource = {"location": self._translation.location, "access": []} | properties
        try:
            create_dataset(self._cursor, project, dataset, resource)
        except ApiError:
            if not self._statement.args.get("exists"):
                raise
            return {"ddlOperationPerformed": "SKIP"}
        return {"ddlOperationPerformed": "CREATE"}

    def _drop_schema(self) -> dict[str, Any]:
        project, dataset = self._dataset_name(self._statement.args["tables"][0])
        try:
            held = catalog.find_dataset(self._cursor, project, dataset)
        except ApiError:
            if not self._statement.args.get("exists"):
                raise
            return {"ddlOperationPerformed": "SKIP"}
        delete_dataset(self._cursor, held, contents=bool(self._statement.args.get("cascade")))
        return {"ddlOperationPerformed": "DROP"}

    def _dataset_name(self, node: exp.Table) -> tuple[str, str]:
        # `p.d` in backticks comes as one name.
        project, _, dataset = node.db.rpartition(".")
        return project or node.catalog or self._translation.tables.project, dataset

    def _drop_table(self) -> dict[str, Any]:
        name = self._translation.tables.name_of(self._statement.args["tables"][0])
        table = catalog.find_table_or_none(self._cursor, name)
        target = {"ddlTargetTable": name.reference()}
        if table is None:
            if not self._statement.args.get("exists"):
                catalog.find_table(self._cursor, name)
            return target | {"ddlOperationPerformed": "SKIP"}
        catalog.drop_table(self._cursor, table)
        return target | {"ddlOperationPerformed": "DROP"}

    def _alter_table(self) -> dict[str, Any]:
        name = self._translation.tables.name_of(self._statement.this)
        target = {"ddlTargetTable": name.reference()}
        may_lack = bool(self._statement.args.get("exists"))
        if may_lack and catalog.find_table_or_none(self._cursor, name) is None:
            return target | {"ddlOperationPerformed": "SKIP"}
        table = catalog.find_table(self._cursor, name)
        for action in self._statement.args["actions"]:
            held = field_named(table.fields, action.name)
            if isinstance(action, exp.AlterColumn):
                if held is None:
                    raise invalid_query(f"Column not found: {action.name}")
                if held["mode"] == "REQUIRED":
                    relax_column(self._cursor, table, held)
            elif held is None:
                add_column(self._cursor, table, declared_field(action))
            elif not action.args.get("exists"):
                raise invalid_query(f"Column already exists: {action.name}")
        catalog.save_table(self._cursor, table)
        return target | {"ddlOperationPerformed": "ALTER"}

    def _create_table(self) -> dict[str, Any]:
        statement = self._statement
        named = statement.this
        declared = named.expressions if isinstance(named, exp.Schema) else None
        name = self._translation.tables.name_of(named.this if declared is not None else named)
        check_table_id(name.table)
        old = catalog.find_table_or_none(self._cursor, name)
        target = {"ddlTargetTable": name.reference()}
        if old and statement.args.get("exists"):
            return target | {"ddlOperationPerformed": "SKIP"}
        if old and not statement.args.get("replace"):
            raise duplicate(f"Table {name}")
        query: Any = statement.expression
        if query and declared is not None:
            raise unsupported("CREATE TABLE with both columns and a query")
        if not query and declared is None:
            raise invalid_query("CREATE TABLE needs columns or a query")
        sql = self._translation.sql(query.copy()) if query else None
        fields = (
            self._translation.described(sql)
            if sql
            else [declared_field(one) for one in declared or ()]
        )
        self._create_with_rows(name, fields, sql)
        if old:
            catalog.drop_table(self._cursor, old)
        return target | {"ddlOperationPerformed": "REPLACE" if old else "CREATE"}

    def _create_with_rows(self, name: TableName, fields: list[Field], sql: str | None) -> None:
        body = _properties(self._statement) | {"schema": {"fields": fields}}
        table = catalog.create_table(
            self._cursor, self._storage.next_id(), name, checked_resource(body)
        )
        if sql:
            held = table.changed_in(self._cursor)
            segment = held.new(self._storage.next_id)
            columns = ", ".join(quoted(field["name"]) for field in fields)
            self._translation.execute(f"INSERT INTO {segment.relation} ({columns}) {sql}")
            segments.fill_arrays(self._cursor, segment.relation, fields)
            held.add(segment)
        catalog.measure(self._cursor, table)


def _properties(statement: exp.Expr) -> dict[str, Any]:
    """PARTITION BY, CLUSTER BY and OPTIONS, as the API has them."""
    properties = statement.args.get("properties")
    resource: dict[str, Any] = {}
    for one in properties.expressions if properties else ():
        if isinstance(one, exp.PartitionedByProperty):
            resource["timePartitioning"] = _partitioning(one.this)
        elif isinstance(one, exp.ClusterProperty):
            resource["clustering"] = {"fields": [column.name for column in one.expressions]}
        elif isinstance(one, exp.LocationProperty):
            resource["location"] = one.this.name
        elif isinstance(one, exp.Property) and type(one) is exp.Property:
            option = str(one.name).lower()
            if option not in _OPTIONS:
                raise unsupported(f"the option {option}")
            resource[_OPTIONS[option]] = option_value(one.args["value"])
        else:
            raise unsupported(f"{one.key.removesuffix('property').upper()} in CREATE")
    return resource


def _partitioning(by: exp.Expr) -> dict[str, str]:
    if isinstance(by, exp.Identifier | exp.Column):
        return {"type": "DAY", "field": by.name}
    if isinstance(by, exp.Date | exp.TsOrDsToDate) and isinstance(by.this, exp.Column):
        return {"type": "DAY", "field": by.this.name}
    if isinstance(by, _TRUNCATIONS) and isinstance(by.this, exp.Column):
        return {"type": str(by.args["unit"].name).upper(), "field": by.this.name}
    raise unsupported("this PARTITION BY")
