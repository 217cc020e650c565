"""The SELECT list: stars written out, and every column with the name that BigQuery gives it."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query
from bigquery_emulator.sql.clauses import ClauseTyper
from bigquery_emulator.sql.names import field_access
from bigquery_emulator.sql.scopes import Source, set_type, type_of
from bigquery_emulator.sql.types import NULL, Type

Columns = list[tuple[str, Type]]


def written_out(select: exp.Select, typer: ClauseTyper) -> Columns:
    """Types the SELECT list, and gives each of its columns an alias.

    Returns:
        The columns' names and types.

    Raises:
        ApiError: BigQuery would refuse it.
    """
    projections: list[exp.Expr] = []
    for one in list(select.expressions):
        if isinstance(one, exp.Star):
            projections += _chosen(one, _all_columns(typer), typer)
        elif isinstance(one, exp.Column) and isinstance(one.this, exp.Star):
            projections += _chosen(one.this, _columns_of(one, typer), typer)
        else:
            projections.append(_named(one, typer))
    unnamed = 0
    for one in projections:
        if one.meta.get("unnamed"):
            one.set("alias", exp.to_identifier(f"f{unnamed}_", quoted=True))
            unnamed += 1
    select.set("expressions", projections)
    return [(one.alias, type_of(one.this) or NULL) for one in projections]


def _named(one: exp.Expr, typer: ClauseTyper) -> exp.Expr:
    alias = one.alias if isinstance(one, exp.Alias) else ""
    value = one.this if isinstance(one, exp.Alias) else one
    if not alias and isinstance(value, exp.Column | exp.Dot):
        alias = value.output_name or value.name
    named = exp.Alias(this=value.copy(), alias=exp.to_identifier(alias or "_", quoted=True))
    one.replace(named)
    if not alias:
        named.meta["unnamed"] = True
    typer.type(named.this)
    return named


def _all_columns(typer: ClauseTyper) -> list[tuple[str, exp.Expr]]:
    scope = typer.scope
    if not scope.sources:
        raise invalid_query("SELECT * must have a FROM clause")
    found: list[tuple[str, exp.Expr]] = []
    for name, kind in scope.merged.items():
        column = exp.column(name, quoted=True)
        set_type(column, kind)
        found.append((_own_name(name, scope.sources), column))
    for source in scope.sources:
        found += [
            (name, column)
            for name, column in _source_columns(source)
            if name.lower() not in scope.merged
        ]
    return found


def _own_name(name: str, sources: list[Source]) -> str:
    return next(
        own for source in sources for own, _ in source.columns if own.lower() == name.lower()
    )


def _source_columns(source: Source) -> list[tuple[str, exp.Expr]]:
    if source.value is not None:
        value = exp.column(source.name, table=source.name, quoted=True)
        set_type(value, source.value)
        offset = [] if not source.columns else [source.columns[-1]]
        if source.value.name == "STRUCT":
            found = _fields(value, source.value)
        else:
            found = [(source.name if not source.name.startswith("_unnest") else "f0_", value)]
        return found + [(name, _column(source, name, kind)) for name, kind in offset]
    return [(name, _column(source, name, kind)) for name, kind in source.columns]


def _column(source: Source, name: str, kind: Type) -> exp.Expr:
    column = exp.column(name, table=source.name, quoted=True)
    set_type(column, kind)
    return column


def _fields(value: exp.Expr, kind: Type) -> list[tuple[str, exp.Expr]]:
    return [(name, field_access(value.copy(), kind, name)[0]) for name, _ in kind.fields]


def _columns_of(node: exp.Column, typer: ClauseTyper) -> list[tuple[str, exp.Expr]]:
    """The columns of ``t.*``, or the fields of a STRUCT's ``s.*``."""
    parts = [part.name for part in node.parts[:-1]]
    source = typer.scope.source(parts[0])
    if source is not None and len(parts) == 1:
        return _source_columns(source)
    path: Any = exp.column(*reversed(parts[-3:]))
    holder = exp.Paren(this=path)
    kind = typer.type(path)
    if kind.name != "STRUCT":
        raise invalid_query(f"Dot-star is not supported for type {kind}")
    return _fields(holder.this, kind)


def _chosen(
    star: exp.Star, columns: list[tuple[str, exp.Expr]], typer: ClauseTyper
) -> list[exp.Expr]:
    """The columns of a star, after its EXCEPT and REPLACE."""
    left_out = {one.name.lower() for one in star.args.get("except_") or ()}
    replaced = {one.alias.lower(): one for one in star.args.get("replace") or ()}
    names = {name.lower() for name, _ in columns}
    if unknown := sorted((left_out | set(replaced)) - names):
        raise invalid_query(
            f"Column {unknown[0]} in SELECT * EXCEPT or REPLACE list does not exist"
        )
    found: list[exp.Expr] = []
    for name, column in columns:
        if name.lower() in left_out:
            continue
        value = column
        if name.lower() in replaced:
            value = replaced[name.lower()].this
            typer.type(value)
            value = replaced[name.lower()].this.copy()
        found.append(exp.Alias(this=value, alias=exp.to_identifier(name, quoted=True)))
    if not found:
        raise invalid_query("SELECT * EXCEPT leaves no columns")
    return found
