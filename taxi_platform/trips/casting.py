"""Casts whole columns to their canonical types and finds the values that cannot be cast.

An Arrow cast fails as a whole. Here a failing column is split in half repeatedly until only the bad
values are left, so a bad value does not affect the rest of its column. This module defines, for all
file formats, which types are accepted for a column and which numbers are implausible. ``texts``,
``times`` and ``numbers`` parse the values.
"""

from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.arrow_values import booleans, bytes_of_texts, numbers_of, texts
from taxi_platform.trips.columns import TIME, Column
from taxi_platform.trips.notes import About, Notes
from taxi_platform.trips.numbers import is_inexact, nearest_doubles
from taxi_platform.trips.texts import MISSING_SPELLINGS, canonical_texts
from taxi_platform.trips.times import UtcTimes, WallTimes, wall_times, wall_times_of_texts

LARGEST_AMOUNT = 1e12
"""Larger numbers are treated as damage. The largest ever published is 259,778 miles."""

_BOUNDS_OF_TIME = texts(["0001-01-01", "9999-12-31 23:59:59.999999"], TIME)
_FIRST_TIME, _LAST_TIME = (bound.value for bound in _BOUNDS_OF_TIME)
"""The years 1 to 9999: BigQuery and Python support no others."""


def fits(array: pa.Array) -> bool:
    """Whether every value is plausible and can be stored.

    Floats must be finite and within ``LARGEST_AMOUNT``. Times must be in the years 1 to 9999. Texts
    must not contain NUL, which Postgres cannot store.
    """
    if array.null_count == len(array):
        return True
    if pa.types.is_string(array.type):
        return bool(bytes_of_texts(array).min(initial=1))
    if pa.types.is_timestamp(array.type):
        bounds = pc.min_max(array)
        return bounds["min"].value >= _FIRST_TIME and bounds["max"].value <= _LAST_TIME
    if not pa.types.is_floating(array.type):
        return True
    numbers = numbers_of(array.drop_null() if array.null_count else array)
    # Unlike Arrow's, NumPy's min and max are NaN if any value is, and both comparisons are False.
    return bool(numbers.min() >= -LARGEST_AMOUNT and numbers.max() <= LARGEST_AMOUNT)


class ColumnCast:
    """Casts the values of one column to its canonical type, and records warnings.

    Attributes:
        column: the canonical column.
        utc_times: how to read times labeled UTC.
        notes: collects warnings about values that were accepted.
    """

    def __init__(
        self,
        column: Column,
        utc_times: UtcTimes = "wall_time",
        notes: Notes | None = None,
    ) -> None:
        self.column = column
        self.utc_times = utc_times
        self.notes = Notes() if notes is None else notes

    def whole(self, array: pa.Array) -> pa.Array:
        """Casts an array at once. Use it for arrays that are probably clean.

        Raises:
            pa.ArrowInvalid, pa.ArrowNotImplementedError: a value cannot be cast.
        """
        column = self.column
        array = _decoded(array)
        # NaN is not replaced by null here: it fails the cast of a number, and each() replaces it.
        if _is_text(array) and not pa.types.is_string(column.type):
            array = _words_as_codes(_without_missing(array, column), column)
        elif pa.types.is_string(column.type):
            array = _without_missing(array, column)
        return self._finish(self._cast(array))

    def each(self, array: pa.Array) -> tuple[pa.Array, pa.BooleanArray]:
        """Casts each value that can be cast. Returns nulls for bad values, and a mask of them.

        Accepts everything that ``whole`` accepts, and also blanks around numbers and times, and
        whole numbers written as floats (``1.0``).
        """
        column = self.column
        array = _words_as_codes(_without_missing(_decoded(array), column), column)
        pieces: list[tuple[pa.Array, bool]] = []
        self._cast_halves(array, pieces)
        values = pa.concat_arrays([piece for piece, _ in pieces]) if pieces else pa.nulls(0)
        bad = booleans([is_bad for piece, is_bad in pieces for _ in range(len(piece))])
        return self._finish(values.cast(column.type)), bad

    def _finish(self, values: pa.Array) -> pa.Array:
        if not pa.types.is_string(self.column.type):
            return values
        return canonical_texts(values, self.column, self.notes)

    def _cast_halves(self, array: pa.Array, pieces: list[tuple[pa.Array, bool]]) -> None:
        if len(array) == 0:
            return
        target = self.column.type
        for through in (None, pa.float64()):
            if through is not None and not pa.types.is_integer(target):
                break
            try:
                step = array if through is None else self._to(array, through)
                pieces.append((self._cast(step), False))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                continue
            else:
                return
        if len(array) == 1:
            pieces.append((pa.nulls(1, target), True))
            return
        middle = len(array) // 2
        self._cast_halves(array[:middle], pieces)
        self._cast_halves(array[middle:], pieces)

    def _cast(self, array: pa.Array) -> pa.Array:
        target = self.column.type
        if array.type == target:
            result = array
        elif array.null_count == len(array):
            return pa.nulls(len(array), target)
        elif pa.types.is_timestamp(target):
            return self._times(array)
        else:
            result = self._to(array, target)
        if not fits(result):
            raise pa.ArrowInvalid("a number is implausibly large, or a text contains NUL")
        if pa.types.is_float32(array.type) and pa.types.is_floating(target):
            self._note(About.SHORT_FLOAT, array, len(array) - array.null_count, 0)
        return result

    def _to(self, array: pa.Array, target: pa.DataType) -> pa.Array:
        if pa.types.is_boolean(array.type) and not pa.types.is_string(target):
            raise pa.ArrowInvalid("a boolean is not a number")
        if is_inexact(array.type):
            array = nearest_doubles(array)
        if _is_text(array) and pa.types.is_integer(target) and _has_hexadecimal(array):
            raise pa.ArrowInvalid("a number is hexadecimal")
        return array.cast(target)

    def _times(self, array: pa.Array) -> pa.Array:
        if pa.types.is_timestamp(array.type):
            found = wall_times(array, self.utc_times)
        elif _is_text(array):
            found = wall_times_of_texts(array, self.utc_times)
        else:
            # Arrow would read a number as microseconds since 1970, and a date as its midnight.
            raise pa.ArrowInvalid(f"{array.type} is not a type for times")
        if not fits(found.values):
            raise pa.ArrowInvalid("a time is outside the years 1 to 9999")
        self._note_times(array, found)
        return found.values

    def _note_times(self, array: pa.Array, found: WallTimes) -> None:
        if found.labeled:
            as_they_stand = self.utc_times == "wall_time"
            about = About.UTC_AS_WALL_TIME if as_they_stand else About.UTC_CONVERTED
            self._note(about, array, found.labeled, found.first_labeled)
        self._note(About.NO_MINUTES, array, found.cut, found.first_cut)

    def _note(self, about: About, array: pa.Array, count: int, first: int) -> None:
        if count:
            position = first if array[first].is_valid else _first_valid(array)
            example = array[position].cast(pa.string()).as_py()
            self.notes.add(about, self.column.name, count, example)


def cast_whole(array: pa.Array, column: Column) -> pa.Array:
    """``ColumnCast.whole`` without notes."""
    return ColumnCast(column).whole(array)


def cast_each(array: pa.Array, column: Column) -> tuple[pa.Array, pa.BooleanArray]:
    """``ColumnCast.each`` without notes."""
    return ColumnCast(column).each(array)


def is_spelled(array: pa.Array, column: Column) -> bool:
    """Whether any text is a word for one of the column's codes, such as ``CMT`` or ``Credit``."""
    return bool(pc.any(pc.is_valid(_index_of_words(array, column))).as_py())


def _first_valid(array: pa.Array) -> int:
    return int(pc.indices_nonzero(pc.is_valid(array))[0].as_py())


def _words_as_codes(array: pa.Array, column: Column) -> pa.Array:
    """Replaces words in a code column with their codes, as text. Other values are unchanged."""
    if not column.spelled or not pa.types.is_integer(column.type) or not _is_text(array):
        return array
    index = _index_of_words(array, column)
    if index.null_count == len(index):
        return array
    meanings = texts([meaning for _, meaning in column.spelled], array.type)
    return pc.coalesce(meanings.take(index), array)


def _index_of_words(array: pa.Array, column: Column) -> pa.Int32Array:
    words = _words(column, array.type)
    return pc.index_in(pc.utf8_lower(pc.utf8_trim_whitespace(array)), value_set=words)


@cache
def _words(column: Column, type_: pa.DataType) -> pa.Array:
    return texts([word for word, _ in column.spelled], type_)


def _decoded(array: pa.Array) -> pa.Array:
    """Decodes dictionary arrays, and converts binary and string views to strings."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type):
        return array.cast(pa.string())
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        large = pa.types.is_large_binary(array.type)
        try:
            return array.cast(pa.large_string() if large else pa.string())
        except pa.ArrowInvalid:  # not UTF-8
            return array
    return array


def _is_text(array: pa.Array) -> bool:
    return pa.types.is_string(array.type) or pa.types.is_large_string(array.type)


def _has_hexadecimal(array: pa.Array) -> bool:
    """Whether any text contains an x: Arrow reads ``0x1A`` as the whole number 26."""
    return bool(pc.any(pc.match_substring(array, "x", ignore_case=True)).as_py())


def _without_missing(array: pa.Array, column: Column) -> pa.Array:
    if _is_text(array):
        if pa.types.is_string(column.type):
            return array  # canonical_texts replaces missing values
        array = pc.utf8_trim_whitespace(array)
        spellings = (*MISSING_SPELLINGS, *column.missing_as)
        missing = pc.is_in(array, value_set=texts(spellings, array.type))
    elif pa.types.is_floating(array.type):
        missing = pc.is_nan(array)
    else:
        return array
    return pc.if_else(missing, pa.nulls(1, array.type)[0], array)
