"""Normalizes coded texts: other spellings, missing values and unknown values.

It processes the distinct values of a block, of which there are few, instead of every row.
"""

import re
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.arrow_values import byte_table, characters, numbers_of, texts
from taxi_platform.trips.columns import Column
from taxi_platform.trips.notes import About, Notes

MISSING_SPELLINGS = (
    *("", "NULL", "Null", "null", "(null)", "\\N"),
    *(
        "NaN",
        "nan",
        "NAN",
        "-nan",
        "-NaN",
        "NaT",
        "None",
        "none",
        "<NA>",
        "N/A",
        "n/a",
        "#N/A",
        "NA",
    ),
    "missing",
)
"""How SQL, Hive and Postgres (``\\N``), C, pandas, R, Excel and Julia write a missing value."""

FLAG = "N|Y"
"""The domain of a flag column."""

FLAGS = (
    *(("0", "N"), ("0.0", "N"), ("f", "N"), ("false", "N"), ("no", "N")),
    *(("1", "Y"), ("1.0", "Y"), ("t", "Y"), ("true", "Y"), ("yes", "Y")),
)
"""Other spellings of N and Y: the early years' 0 and 1, and those of database exports."""


def canonical_texts(array: pa.StringArray, column: Column, notes: Notes) -> pa.StringArray:
    """Normalizes texts: trims them, converts codes to capitals, and makes missing values null.

    Texts outside the column's domain, and texts in a column without a domain, are only trimmed.

    Args:
        array: the texts, without NUL.
        column: the column that they belong to.
        notes: collects other spellings and texts outside the domain. The early years' numbers and
            missing values are not reported.
    """
    if is_canonical(array, column):
        return array
    encoded = array.dictionary_encode()
    published = encoded.dictionary.to_pylist()
    meanings = [canonical_text(text, column) for text in published]
    rows = _rows_of(encoded.indices, len(published))
    for text, meaning, count in zip(published, meanings, rows, strict=True):
        if meaning is None:
            continue
        if not in_domain(meaning, column):
            notes.add(About.UNKNOWN_TEXT, column.name, count, repr(text))
        elif text != meaning and not _is_number(text):
            notes.add(About.SPELLING, column.name, count, f"{text!r} for {meaning}")
    return texts(meanings, pa.string()).take(encoded.indices)


def is_canonical(array: pa.StringArray, column: Column) -> bool:
    """Whether every text is already in canonical form and in the domain."""
    if (letters := _letters(column.domain)) and _are_letters(array, letters):
        return True
    return all(
        text is None or (text == canonical_text(text, column) and in_domain(text, column))
        for text in pc.unique(array).to_pylist()
    )


def canonical_text(text: str, column: Column) -> str | None:
    """The canonical form of a text; None if it is a spelling of a missing value."""
    trimmed = text.strip()
    if trimmed in MISSING_SPELLINGS or trimmed in column.missing_as:
        return None
    # Only codes ignore case. A column without a domain may contain any text.
    as_it_is = trimmed.upper() if column.domain else trimmed
    meaning = _meanings(column).get(trimmed.lower(), as_it_is)
    return meaning if in_domain(meaning, column) else trimmed


def in_domain(text: str, column: Column) -> bool:
    """Whether a text is in the column's domain."""
    return not column.domain or re.fullmatch(column.domain, text) is not None


def unknown_texts(array: pa.StringArray, domain: str) -> pa.BooleanArray | None:
    """A mask of the texts outside a domain; None if there are none."""
    if (letters := _letters(domain)) and _are_letters(array, letters):
        return None
    distinct = pc.unique(array).to_pylist()
    unknown = [text for text in distinct if text is not None and not re.fullmatch(domain, text)]
    return pc.is_in(array, value_set=texts(unknown)) if unknown else None


def _rows_of(indices: pa.Int32Array, distinct: int) -> list[int]:
    present = indices.drop_null() if indices.null_count else indices
    counts: list[int] = np.bincount(numbers_of(present), minlength=distinct).tolist()
    return counts


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()


@cache
def _meanings(column: Column) -> dict[str, str]:
    return dict(column.spelled)


@cache
def _letters(domain: str) -> bytes:
    """The letters of a domain that consists of single letters only; otherwise empty."""
    words = domain.split("|")
    return "".join(words).encode() if all(len(w) == 1 and w.isalpha() for w in words) else b""


def _are_letters(array: pa.StringArray, letters: bytes) -> bool:
    """Whether every text is one of some ASCII letters; checked on the bytes, which is fast."""
    found = characters(array, 1)
    return found is not None and bool(byte_table(letters)[found].all())
