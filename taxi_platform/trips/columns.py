"""Defines ``Column``, and the Arrow types of columns.

``types`` lists the columns of each trip type. ``schema`` maps a file's header to them.
"""

from dataclasses import dataclass
from datetime import date

import pyarrow as pa

CODE = pa.int16()
"""Codes and small counts. A narrow type halves the bytes sent to Postgres."""

SECONDS = pa.int32()
"""Durations in whole seconds. 16 bits would overflow after nine hours."""

AMOUNT = pa.float64()
"""Money, distances and degrees."""

TIME = pa.timestamp("us")
"""New York local time without a zone, as published. Times in the repeated hour in fall are
ambiguous."""

DOLLARS = "US dollars"
"""The unit of amounts of money. Amounts are summed in cents."""


@dataclass(frozen=True)
class Era:
    """The months in which every file has a column, whatever the file's format.

    Attributes:
        since: first day of the first month.
        until: first day of the last month.
        unless: canonical columns that replace this one. A file with any of them may lack it.
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
        published_as: the TLC's names for the column, trimmed and in lower case.
        required: whether a file without the column is refused.
        never_null: whether every trip has a value.
        spelled: pairs of a published spelling, trimmed and in lower case, and its canonical value.
        missing_as: spellings of a missing value in this column, in addition to those of all
            columns (``texts.MISSING_SPELLINGS``).
        domain: for text columns, a regular expression that the whole value must match. Other
            values are reported, and rejected by the rule ``texts_known``. Empty allows any text.
        eras: when the column was published; for documentation only.
        always: months in which a file without the column is refused; None if files may lack it.
        unit: unit of the numbers.
        varied: whether nearly every row has a different value. Parquet then compresses the column
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
    "First day of the month of the file that contained the row. A few rows have a pickup in "
    "another month. This is the partition column.",
    never_null=True,
)
"""The last column of every trip type. Its value is the file's month and is not read from the
file."""


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
        published_as: the TLC's names for the column, in lower case.
        eras: when the column was published.
        always: months in which a file without the column is refused.
        required: whether a file without the column is refused; by default if every era has it.
        never_null: whether every trip has a value.
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
    """A longitude or latitude column, such as ``pickup_longitude``."""
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
