"""What the table names in a query mean: tables of the catalog, CTEs, metadata views."""

from __future__ import annotations

from collections.abc import Callable

import sqlglot
from sqlglot import exp

from bigquery_emulator.errors import ApiError, invalid_query, not_found, unsupported
from bigquery_emulator.sql.parsing import parsed_statement
from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.catalog import Table, TableName
from bigquery_emulator.storage.column_types import Field
from bigquery_emulator.storage.database import Cursor

MetadataView = Callable[[Cursor, str, str, str], tuple[exp.Expr, list[Field]] | None]


# The views that a project has without a dataset.
_OF_PROJECT = ("JOBS", "JOBS_BY_PROJECT", "SCHEMATA")


class TableNames:
    """The tables that a query names, looked up in one snapshot of the catalog.

    Args:
        cursor: in the snapshot.
        project: of the job.
        default: project and dataset of tables without a dataset.
        metadata_view: finds the views of INFORMATION_SCHEMA.
        location: where the job runs; None if datasets elsewhere are named as well.
        temporary: the dataset of temporary tables, which names without a dataset mean first.
    """

    def __init__(
        self,
        cursor: Cursor,
        project: str,
        default: tuple[str, str] | None,
        metadata_view: MetadataView,
        location: str | None = None,
        temporary: str | None = None,
    ) -> None:
        self._cursor = cursor
        self.project = project
        self._default = default
        self._metadata_view = metadata_view
        self._location = location
        self._temporary = temporary
        self.used: dict[TableName, Table] = {}

    def name_of(self, node: exp.Table) -> TableName:
        """The full name that a table in a query stands for.

        Raises:
            ApiError: it lacks a dataset, and the query has no default one; or its dataset does
                not lie where the job runs.
        """
        name, dataset, project = node.name, node.db, node.catalog
        if "." in project:  # a project of a domain would be written "domain.com:project"
            raise unsupported(f"the table name {project}.{dataset}.{name}")
        if dataset.upper() == "_SESSION" and not project and self._temporary:
            return TableName(self.project, self._temporary, name)
        if not dataset:
            if self._names_temporary(name):
                return TableName(self.project, str(self._temporary), name)
            if self._default is None:
                raise invalid_query(
                    f'Table "{name}" must be qualified with a dataset (e.g. dataset.table).'
                )
            return self._located(TableName(*self._default, name))
        return self._located(TableName(project or self.project, dataset, name))

    def _names_temporary(self, name: str) -> bool:
        if self._temporary is None:
            return False
        return catalog.table_exists(self._cursor, TableName(self.project, self._temporary, name))

    def _located(self, name: TableName) -> TableName:
        if self._location is not None:
            catalog.check_location(self._cursor, name, self._location)
        return name

    def table_of(self, node: exp.Table) -> Table:
        """The table of the catalog that is named.

        Raises:
            ApiError: there is none.
        """
        name = self.name_of(node)
        if "*" in name.table or "$" in name.table:
            raise unsupported("wildcard tables and partition decorators in queries")
        dataset = catalog.find_dataset(self._cursor, name.project, name.dataset)
        table = catalog.find_table_or_none(self._cursor, name)
        if table is None:
            raise not_found(f"Table {name} was not found in location {dataset.location}")
        self.used[name] = table
        return table

    def resolve(self, node: exp.Table) -> tuple[exp.Expr, list[Field]]:
        """Puts DuckDB's table in the place of one that a FROM clause names.

        Returns:
            What took its place, and its columns.

        Raises:
            ApiError: there is no such table.
        """
        view = self._view_of(node)
        if view is None:
            table = self.table_of(node)
            view = (_query_of(table), []) if table.is_view else (_node(table), table.fields)
        new, fields = view
        alias = node.alias or node.name.rpartition(".")[2]
        new.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
        if joins := node.args.get("joins"):
            new.set("joins", joins)
        new.meta["resolved"] = bool(fields) or isinstance(new, exp.Table)
        node.replace(new)
        return new, fields

    def table_or_none(self, node: exp.Table) -> Table | None:
        """The table of the catalog that is named, if the name is that of one."""
        if not node.name or (not node.db and (_names_cte(node) or self._default is None)):
            return None
        try:
            return catalog.find_table_or_none(self._cursor, self.name_of(node))
        except ApiError:
            return None

    def _view_of(self, node: exp.Table) -> tuple[exp.Expr, list[Field]] | None:
        name, dataset, project = node.name, node.db, node.catalog or self.project
        if name.upper().startswith("INFORMATION_SCHEMA."):
            view = name.upper().partition(".")[2]
        elif name == "__TABLES__":
            view = name
        else:
            return None
        if not dataset and view in _OF_PROJECT:
            dataset = ""
        elif not dataset:
            if self._default is None:
                raise unsupported(f"{name} without a dataset")
            project, dataset = self._default
        if dataset and not dataset.lower().startswith("region-"):
            self._located(TableName(project, dataset, view))
        found = self._metadata_view(self._cursor, project, dataset, view)
        if found is None:
            raise unsupported(name)
        return found


def _query_of(view: Table) -> exp.Expr:
    """A view's query, as it was written, in parentheses."""
    query = parsed_statement(view.resource["view"]["query"])
    if not isinstance(query, exp.Query):
        raise invalid_query(f"The view {view.name} has no query")
    return exp.Subquery(this=query.copy())


def _node(table: Table) -> exp.Expr:
    """A table's rows, as a part of a syntax tree."""
    return sqlglot.parse_one(f"FROM {table.relation}", read="duckdb").args["from_"].this


def _names_cte(node: exp.Table) -> bool:
    """Whether a name without a dataset is that of a WITH clause in force there."""
    name = node.name.lower()
    child: exp.Expr = node
    parent = node.parent
    while parent is not None:
        with_ = parent.args.get("with_")
        if isinstance(parent, exp.With):
            # Within a WITH clause, the names before this one are in force, and its own if it is
            # recursive.
            for cte in parent.expressions:
                if cte is child and not parent.args.get("recursive"):
                    break
                if cte.alias.lower() == name:
                    return True
        elif (
            with_ is not None
            and with_ is not child
            and any(cte.alias.lower() == name for cte in with_.expressions)
        ):
            return True
        child, parent = parent, parent.parent
    return False
