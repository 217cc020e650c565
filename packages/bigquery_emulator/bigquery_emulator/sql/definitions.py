"""What a CREATE, ALTER or DROP says: its kind, and its clauses as the API has them.

Columns are in declared_columns.py.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.declared_columns import declared_field, option_value
from bigquery_emulator.sql.parsing import check_supported

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
    if kind == "VIEW" and verb in ("CREATE", "DROP") and not statement.args.get("cascade"):
        return _view_definition(verb, statement)
    if (
        kind not in ("TABLE", "SCHEMA")
        or verb == "ALTER"
        or (verb == "DROP" and len(statement.args["tables"]) > 1)
    ):
        raise unsupported(f"{verb} {kind}")
    properties_of(statement)
    if verb == "CREATE" and statement.expression:
        check_supported(statement.expression)
        return "CREATE_TABLE_AS_SELECT"
    return f"{verb}_{kind}"


def _view_definition(verb: str, statement: Any) -> str:
    if verb == "DROP":
        if len(statement.args["tables"]) > 1:
            raise unsupported("DROP VIEW of several views")
        return "DROP_VIEW"
    if isinstance(statement.this, exp.Schema):
        raise unsupported("CREATE VIEW with names of columns")
    if extra := sorted(set(properties_of(statement)) - {"description", "friendlyName", "labels"}):
        raise unsupported(f"{extra[0]} in CREATE VIEW")
    check_supported(statement.expression)
    return "CREATE_VIEW"


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


def properties_of(statement: exp.Expr) -> dict[str, Any]:
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
