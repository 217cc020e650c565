"""What a column is, and the types that columns have.

Which columns a kind of trip has is said in ``types``; how a file's header meets them, in
``schema``.
"""

from dataclasses import dataclass
from datetime import date

import pyarrow as pa

CODE = pa.int16()
"""Codes and small counts: narrow types halve the bytes that Postgres is sent."""

SECONDS = pa.int32()
"""Durations in whole seconds: 16 bits end at nine hours."""

AMOUNT = pa.float64()
"""Money, distances and degrees."""

TIME = pa.timestamp("us")
"""New York local time without a zone, as published: its repeated hour in autumn is ambiguous."""

DOLLARS = "US dollars"
"""The unit of amounts of money, which are added up in cents."""


@dataclass(frozen=True)
class Era:
    """The months whose files always have a column, whatever their format.

    Attributes:
        since: the first of them, by its first day.
        until: the last of them, by its first day.
        unless: canonical columns, any of which stands in for it where a file has one.
    """

    since: date = date.min
    until: date = date.max
    unless: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """One canonical column.

    Attributes:
        name: canonical name.
        type: Arrow type in every cleaned file.
        description: meaning, with units and codes; a sentence.
        published_as: the TLC's names for it, trimmed and in lower case.
        required: whether a file without it is refused.
        never_null: whether every trip has it.
        spelled: values as some eras spell them, trimmed and in lower case, and what they mean.
        missing_as: texts that stand for a missing value in this column, besides those that do in
            every column (``texts.MISSING_SPELLINGS``).
        domain: of a text, a regular expression that every value matches as a whole; what does not
            is reported, and rejected by the rule ``texts_known``. Empty if any text may be.
        eras: when it was published; for people.
        always: when a file without it has lost it, and is refused; None if files may lack it.
        unit: of its numbers.
        varied: whether nearly every row has its own value. Parquet then compresses the column
            instead of writing a dictionary.
    """

    name: str
    type: pa.DataType
    description: str
    published_as: tuple[str, ...] = ()
    required: bool = False
    never_null: bool = False
    spelled: tuple[tuple[str, str], ...] = ()
    missing_as: tuple[str, ...] = ()
    domain: str = ""
    eras: str = "all"
    always: Era | None = None
    unit: str = ""
    varied: bool = False


DATA_FILE_MONTH = "data_file_month"

FILE_MONTH_COLUMN = Column(
    DATA_FILE_MONTH,
    pa.date32(),
    "First day of the month of the file that the row was published in, which for a few rows "
    "is not the month of the trip. The partition column.",
    never_null=True,
)
"""The last column of every kind of trip; it comes from the file's month, never from the file."""


def dollars(
    name: str,
    description: str,
    *published_as: str,
    eras: str = "all",
    always: Era | None = None,
    required: bool | None = None,
    never_null: bool = False,
) -> Column:
    """An amount of money.

    Args:
        name: canonical name.
        description: meaning; a sentence.
        published_as: the TLC's names for it, in lower case.
        eras: when it was published.
        always: when a file without it has lost it.
        required: whether a file without it is refused; by default if every era has it.
        never_null: whether every trip has it.
    """
    return Column(
        name,
        AMOUNT,
        description,
        published_as,
        required=eras == "all" if required is None else required,
        never_null=never_null,
        eras=eras,
        always=always,
        unit=DOLLARS,
    )


def degrees(name: str, published_as: str, eras: str, always: Era | None = None) -> Column:
    """A longitude or latitude, named ``pickup_longitude`` and the like."""
    end, axis = name.split("_")
    return Column(
        name,
        AMOUNT,
        f"{axis.capitalize()} of the {end}; 0 where unknown.",
        (published_as,),
        eras=eras,
        always=always,
        unit="degrees",
        varied=True,
    )
