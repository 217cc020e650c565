"""Defines ``Mart``. To add a mart, add one file to ``definitions``; no other code changes."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import pyarrow as pa

from taxi_platform.trips.columns import FILE_MONTH_COLUMN, Column
from taxi_platform.trips.types import trip_type

_NAME = re.compile(r"[a-z][a-z_]*")

COUNT = pa.int64()
"""Numbers of trips and of passengers."""

CENTS = "US cents"
"""The unit of sums of money, which are whole cents and so exact."""

MILES = "miles"
"""The unit of sums of distances. They are summed in whole thousandths of a mile, and so exact."""


@dataclass(frozen=True)
class Ratio:
    """A quotient of sums, which a mart's view computes.

    Attributes:
        sql: an expression of the mart's columns.
        description: meaning, with the unit; a sentence.
    """

    sql: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Mart:
    """A table that is computed of a month of trips.

    Tables, columns in Dagster, docs/data.md, assets, checks and views are derived from it.

    Attributes:
        name: in lower case; the table of a color is ``green_zone_days``.
        description: what a row is, and what to know; sentences.
        columns: the columns, in order. Sums of money are whole cents.
        sql: a SELECT that both stores take, of the relations in ``relations``.
        needs: what a trip must have (``TripType.by_meaning``) for its type to have this mart.
        sums: what the columns add up to over all rows, as aggregates over the relation ``totals``.
            A check compares them.
        ratios: further columns of the view, by name.

    Raises:
        ValueError: the attributes contradict each other.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    sql: str
    sums: Mapping[str, str]
    needs: tuple[str, ...] = ()
    ratios: Mapping[str, Ratio] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        problems = []
        if not _NAME.fullmatch(self.name):
            problems.append("its name must be lower-case letters and '_'")
        if not self.sql.lstrip().startswith("SELECT"):
            problems.append("its SQL does not start with SELECT")
        problems += [f"no column {name} to add up" for name in self.sums if name not in names]
        problems += [f"{name} is in it twice" for name in {n for n in names if names.count(n) > 1}]
        if not self.sums:
            problems.append("nothing adds up, so no check could compare it with the trips")
        if problems:
            raise ValueError(f"mart {self.name}: {'; '.join(problems)}")

    @cached_property
    def all_columns(self) -> tuple[Column, ...]:
        """The columns of its tables: its own, and ``data_file_month``."""
        return (*self.columns, FILE_MONTH_COLUMN)

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of its tables, with descriptions as field metadata."""
        return pa.schema(
            pa.field(c.name, c.type, metadata={"description": described(c)})
            for c in self.all_columns
        )

    @cached_property
    def version(self) -> str:
        """Changes with what its rows depend on besides the trips."""
        content = repr((self.sql, [(c.name, str(c.type)) for c in self.columns]))
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def table(self, color: str) -> str:
        """The name of a color's table."""
        return f"{color}_{self.name}"

    def is_made_of(self, color: str) -> bool:
        """Whether trips of a color have what it needs."""
        return set(self.needs) <= trip_type(color).by_meaning.keys()


def described(column: Column) -> str:
    """A column's description, with its unit."""
    unit = f" In {column.unit}." if column.unit else ""
    return f"{column.description}{unit}"


def count(name: str, description: str) -> Column:
    """A column that counts."""
    return Column(name, COUNT, description)


def cents(name: str, description: str) -> Column:
    """A sum of money in whole cents."""
    return Column(name, COUNT, description, unit=CENTS)


def miles(name: str, description: str) -> Column:
    """A sum of distances."""
    return Column(name, pa.float64(), description, unit=MILES)
