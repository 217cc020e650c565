"""What a CREATE, ALTER or DROP says: its kind, and its clauses as the API has them.

Columns are in declared_columns.py.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql.declared_columns import declared_field, option_value
from bigquery_emulator.sql.parsing import check_supported

_UNDERSTOOD = set(
    "this kind exists replace properties expression tables cascade restrict actions clone".split()
)
_ADDED_COLUMN = {"this", "kind", "constraints", "exists"}
_TRUNCATIONS = (exp.DateTrunc, exp.TimestampTrunc, exp.DatetimeTrunc)
_OPTIONS = {
    "description": "description",
    "expiration_timestamp": "expirationTime",
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
    if isinstance(statement, exp.Alter) and kind in ("TABLE", "VIEW"):
        _check_alterations(statement)
        return f"ALTER_{kind}"
    verb = "CREATE" if isinstance(statement, exp.Create) else statement.key.upper()
    if (
        kind not in ("TABLE", "SCHEMA", "VIEW")
        or verb == "ALTER"
        or (verb == "DROP" and len(statement.args["tables"]) > 1)
    ):
        raise unsupported(f"{verb} {kind}")
    properties_of(statement)
    if verb == "CREATE" and statement.expression:
        check_supported(statement.expression)
        if kind == "VIEW" and isinstance(statement.this, exp.Schema):
            raise unsupported("views with lists of columns")
        return "CREATE_VIEW" if kind == "VIEW" else "CREATE_TABLE_AS_SELECT"
    if verb == "CREATE" and kind != "TABLE" and copied_table(statement) is not None:
        raise unsupported(f"copies in CREATE {kind}")
    if verb == "CREATE" and kind == "VIEW":
        raise invalid_query("Syntax error: CREATE VIEW needs a query")
    return f"{verb}_{kind}"


def copied_table(statement: Any) -> exp.Table | None:
    """The table of which a CREATE TABLE makes another: by LIKE, COPY or CLONE."""
    clone = statement.args.get("clone")
    if clone is not None:
        return clone.this if isinstance(clone.this, exp.Table) else None
    properties = statement.args.get("properties")
    for one in properties.expressions if properties else ():
        if isinstance(one, exp.LikeProperty) and isinstance(one.this, exp.Table):
            return one.this
    return None


def _check_alterations(statement: exp.Alter) -> None:
    """Refuses what ALTER TABLE may do besides adding and relaxing columns."""
    for action in statement.args["actions"]:
        meant = {name for name, value in action.args.items() if value}
        adds = isinstance(action, exp.ColumnDef) and meant <= _ADDED_COLUMN
        relaxes = isinstance(action, exp.AlterColumn) and meant == {"this", "drop", "allow_null"}
        drops = isinstance(action, exp.Drop) and action.args.get("kind") == "COLUMN"
        sets = isinstance(action, exp.AlterSet) and meant == {"expressions"}
        if not (adds or relaxes or drops or sets) and not isinstance(
            action, exp.AlterRename | exp.RenameColumn
        ):
            raise unsupported(f"{action.key.upper()} in ALTER TABLE")
        if adds:
            declared_field(action)
        if sets:
            options_of(options_set(action))


def properties_of(statement: exp.Expr) -> dict[str, Any]:
    """PARTITION BY, CLUSTER BY and OPTIONS, as the API has them."""
    properties = statement.args.get("properties")
    resource: dict[str, Any] = {}
    for one in properties.expressions if properties else ():
        if isinstance(one, exp.PartitionedByProperty):
            resource["timePartitioning"] = _partitioning(one.this)
        elif isinstance(one, exp.ClusterProperty):
            resource["clustering"] = {"fields": [column.name for column in one.expressions]}
        elif isinstance(one, exp.TemporaryProperty | exp.LikeProperty):
            continue
        elif isinstance(one, exp.LocationProperty):
            resource["location"] = one.this.name
        elif isinstance(one, exp.Property) and type(one) is exp.Property:
            resource |= options_of([one])
        else:
            raise unsupported(f"{one.key.removesuffix('property').upper()} in CREATE")
    return resource


def options_set(action: exp.AlterSet) -> list[Any]:
    """The options of a SET OPTIONS, which may be empty."""
    return [one for part in action.expressions if part is not None for one in part.expressions]


def options_of(options: list[Any]) -> dict[str, Any]:
    """OPTIONS, as the API has them; one that is computed is still an expression.

    Raises:
        ApiError: an option is not supported.
    """
    resource: dict[str, Any] = {}
    for one in options:
        option = str(one.name).lower()
        if option not in _OPTIONS:
            raise unsupported(f"the option {option}")
        value = one.args["value"]
        if option == "expiration_timestamp":
            check_supported(value)
            resource[_OPTIONS[option]] = value
        else:
            resource[_OPTIONS[option]] = option_value(value)
    return resource


def _partitioning(by: exp.Expr) -> dict[str, str]:
    if isinstance(by, exp.Identifier | exp.Column):
        return {"type": "DAY", "field": by.name}
    if isinstance(by, exp.Date | exp.TsOrDsToDate) and isinstance(by.this, exp.Column):
        return {"type": "DAY", "field": by.this.name}
    if isinstance(by, _TRUNCATIONS) and isinstance(by.this, exp.Column):
        return {"type": str(by.args["unit"].name).upper(), "field": by.this.name}
    raise unsupported("this PARTITION BY")
