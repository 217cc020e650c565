"""Defines ``TripType``. To add a trip type, add one file to ``types``; no other code changes."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from functools import cached_property
from types import MappingProxyType

import pyarrow as pa

from taxi_platform.trips.columns import (
    DOLLARS,
    FILE_MONTH_COLUMN,
    TIME,
    Column,
)
from taxi_platform.trips.rules import Rule
from taxi_platform.trips.synthetic_rows import SyntheticMonths

_NAME = re.compile(r"[a-z][a-z0-9]*")


@dataclass(frozen=True, kw_only=True)
class TripType:
    """A kind of trip that is published in monthly files, such as green taxi trips.

    The platform derives everything else from it: partition keys, file names, the canonical schema,
    casts, rules, expectations, tables, descriptions and docs/data.md.

    Attributes:
        name: the ``color`` in partition keys, file names and table names; lower-case letters and
            digits.
        title: display name, such as ``Green taxis``.
        description: what these trips are; sentences.
        first_month: the first published month.
        columns: the columns of the published file, in the order of every store.
        header_marks: header names that only this type has, trimmed and in lower case; ``*``
            matches any letters.
        rules: the cleaning rules, by priority: a row that breaks several is counted under the
            first.
        time_column: the pickup time. Days are counted, and rows are indexed, by it.
        end_time_column: the dropoff time, if published.
        location_column: the taxi zone of the pickup, if published. Tables are clustered by it.
        end_location_column: the taxi zone of the dropoff, if published.
        total: the amount that is summed in summaries, if any.
        measures: the columns that the marts sum or group by, by what they mean: ``miles``,
            ``passengers``, ``fare``, ``tip``, ``payment``, ``congestion_fee``. A mart is made of
            the trip types that have what it needs.
        filled: columns in which missing values are filled, with the value as text.
        opt_in: whether the type is disabled by default.
        synthetic: how to generate synthetic months; None if there are none.

    Raises:
        ValueError: the attributes contradict each other.
    """

    name: str
    title: str
    description: str
    first_month: date
    columns: tuple[Column, ...]
    header_marks: tuple[str, ...]
    rules: tuple[Rule, ...]
    time_column: str
    end_time_column: str | None = None
    location_column: str | None = None
    end_location_column: str | None = None
    total: str | None = None
    measures: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    filled: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    opt_in: bool = False
    synthetic: SyntheticMonths | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} is not a valid trip type name: use lower-case letters and digits"
            )
        if problems := [*self._twice(), *self._unknown()]:
            raise ValueError(f"trip type {self.name}: {'; '.join(problems)}")

    def _twice(self) -> list[str]:
        names = Counter(c.name for c in self.all_columns)
        spellings = Counter(s for c in self.columns for s in {c.name, *c.published_as})
        rules = Counter(r.name for r in self.rules)
        return [
            *(f"two columns are named {name}" for name, n in names.items() if n > 1),
            *(f"two columns are published as {name}" for name, n in spellings.items() if n > 1),
            *(f"two rules are named {name}" for name, n in rules.items() if n > 1),
        ]

    def _unknown(self) -> list[str]:
        types = {c.name: c.type for c in self.columns}
        times = [name for name in (self.time_column, self.end_time_column) if name]
        others = [
            *self.location_columns,
            *self.filled,
            *self.measures.values(),
            *([self.total] if self.total else []),
        ]
        problems = [f"no column {name}" for name in (*times, *others) if name not in types]
        problems += [f"{name} is not a time" for name in times if types.get(name, TIME) != TIME]
        if self.total in types and self.total not in self.amounts:
            problems.append(f"{self.total} is not an amount in {DOLLARS}")
        return problems

    @cached_property
    def all_columns(self) -> tuple[Column, ...]:
        """The columns of a cleaned file: the published ones, and ``data_file_month``."""
        return (*self.columns, FILE_MONTH_COLUMN)

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of a cleaned file, with descriptions as field metadata."""
        return pa.schema(
            pa.field(c.name, c.type, metadata={"description": c.description})
            for c in self.all_columns
        )

    @cached_property
    def by_published_name(self) -> Mapping[str, Column]:
        """Maps every published name, and every canonical name, to its column."""
        return {
            spelling: column
            for column in self.columns
            for spelling in (column.name, *column.published_as)
        }

    @cached_property
    def amounts(self) -> tuple[str, ...]:
        """The names of the columns that are amounts in US dollars."""
        return tuple(c.name for c in self.columns if c.unit == DOLLARS)

    @cached_property
    def never_null(self) -> tuple[str, ...]:
        """The names of the columns in which every trip has a value."""
        return tuple(c.name for c in self.all_columns if c.never_null)

    @cached_property
    def location_columns(self) -> tuple[str, ...]:
        """The names of the columns that contain taxi zones."""
        return tuple(n for n in (self.location_column, self.end_location_column) if n)

    @cached_property
    def by_meaning(self) -> Mapping[str, str]:
        """The names of the columns that marts read, by what they mean: ``measures`` and the others.

        The others are ``pickup_time``, ``dropoff_time``, ``pickup_zone``, ``dropoff_zone`` and
        ``total``.
        """
        others = {
            "pickup_time": self.time_column,
            "dropoff_time": self.end_time_column,
            "pickup_zone": self.location_column,
            "dropoff_zone": self.end_location_column,
            "total": self.total,
        }
        return {**{name: column for name, column in others.items() if column}, **self.measures}

    def is_marked(self, normalized: str) -> bool:
        """Whether a header name, trimmed and in lower case, is one of this type's header marks."""
        return any(fnmatchcase(normalized, mark) for mark in self.header_marks)

    def rules_named(self, names: tuple[str, ...] | None) -> tuple[Rule, ...]:
        """The rules with these names, by priority; None means those on by default.

        Raises:
            ValueError: this trip type has no rule with one of the names.
        """
        if names is None:
            return tuple(rule for rule in self.rules if rule.on_by_default)
        known = {rule.name for rule in self.rules}
        if unknown := sorted(set(names) - known):
            raise ValueError(
                f"{self.name} trips have no rule named {', '.join(unknown)}; use "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        return tuple(rule for rule in self.rules if rule.name in names)
