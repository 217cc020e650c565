"""Casts of whole columns that single out the values which do not fit.

A cast of Arrow fails as a whole. Here the failing column is halved until only the bad values are
left, so that one of them never costs its neighbours. Which values count as missing, and which
numbers no taximeter shows, is decided here, for every format alike.
"""

from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.arrow_values import booleans, numbers_of, texts
from taxi_platform.trips.columns import TIME, Column

MISSING_SPELLINGS = ("", "NULL", "null", "NaN", "nan", "N/A", "NA")

LARGEST_AMOUNT = 1e12
"""Beyond it a number is damage: the largest ever published is a distance of 259,778 miles."""

_BOUNDS_OF_TIME = texts(["0001-01-01", "9999-12-31 23:59:59.999999"], TIME)
_FIRST_TIME, _LAST_TIME = (bound.value for bound in _BOUNDS_OF_TIME)
"""The years 1 to 9999, beyond which neither BigQuery nor Python has times."""


def fits(array: pa.Array) -> bool:
    """Whether every value can be real and be stored.

    A float must be finite and of a possible size, a time must have a year of four digits; a text
    must not hold a NUL, which Postgres cannot store.
    """
    if pa.types.is_string(array.type):
        return not pc.any(pc.match_substring(array, "\0")).as_py()
    if array.null_count == len(array):
        return True
    if pa.types.is_timestamp(array.type):
        bounds = pc.min_max(array)
        return bounds["min"].value >= _FIRST_TIME and bounds["max"].value <= _LAST_TIME
    if not pa.types.is_floating(array.type):
        return True
    numbers = numbers_of(array.drop_null() if array.null_count else array)
    # NumPy's extremes, unlike Arrow's, are NaN if any value is; and then neither holds.
    return bool(numbers.min() >= -LARGEST_AMOUNT and numbers.max() <= LARGEST_AMOUNT)


def cast_whole(array: pa.Array, column: Column) -> pa.Array:
    """Casts an array that is known or hoped to be clean.

    Raises:
        pa.ArrowInvalid: some value does not fit.
    """
    array = _spelled_out(array)
    if pa.types.is_string(array.type) and _is_canonical(array, column):
        return array
    # Of numbers that become numbers, a missing one does not fit, and is seen to by cast_each.
    if _is_text(array) or pa.types.is_string(column.type):
        array = _without_missing(array, column)
    return _spell_as_canonical(_cast(_words_as_codes(array, column), column.type), column)


def _is_canonical(array: pa.Array, column: Column) -> bool:
    """Whether a text column holds canonical words alone: far fewer are looked at than there are."""
    if not column.spelled or not pa.types.is_string(column.type):
        return False
    return set(pc.unique(array).to_pylist()) <= {None, *(meaning for _, meaning in column.spelled)}


def _cast(array: pa.Array, target: pa.DataType) -> pa.Array:
    result = array if array.type == target else array.cast(target)
    if not fits(result):
        raise pa.ArrowInvalid("a value is out of all proportion, or holds a NUL")
    return result


def cast_each(array: pa.Array, column: Column) -> tuple[pa.Array, pa.BooleanArray]:
    """Casts what can be cast: the column with nulls for the bad values, and where those are.

    Accepts all that ``cast_whole`` accepts, and besides: blanks around numbers and times, and
    whole numbers spelled as floats (``1.0``).
    """
    array = _words_as_codes(_without_missing(_spelled_out(array), column), column)
    pieces: list[tuple[pa.Array, bool]] = []
    _cast_halves(array, column.type, pieces)
    values = pa.concat_arrays([piece for piece, _ in pieces]) if pieces else pa.nulls(0)
    bad = booleans([is_bad for piece, is_bad in pieces for _ in range(len(piece))])
    return _spell_as_canonical(values.cast(column.type), column), bad


def is_spelled(array: pa.Array, column: Column) -> bool:
    """Whether text has words that stand for the column's codes, as in ``CMT`` and ``Credit``."""
    return bool(pc.any(pc.is_valid(_index_of_words(array, column))).as_py())


def _words_as_codes(array: pa.Array, column: Column) -> pa.Array:
    """Replaces the words of a code column by their codes, as text; leaves all else alone."""
    if not column.spelled or not pa.types.is_integer(column.type) or not _is_text(array):
        return array
    return _translated(array, _index_of_words(array, column), column)


def _spell_as_canonical(array: pa.Array, column: Column) -> pa.Array:
    """Replaces other spellings in a text column, such as 0 and 1 for N and Y."""
    if not column.spelled or not pa.types.is_string(column.type):
        return array
    index = pc.index_in(array, value_set=_words(column, array.type))
    return _translated(array, index, column)


def _index_of_words(array: pa.Array, column: Column) -> pa.Int32Array:
    words = _words(column, array.type)
    return pc.index_in(pc.utf8_lower(pc.utf8_trim_whitespace(array)), value_set=words)


@cache
def _words(column: Column, type_: pa.DataType) -> pa.Array:
    return texts([word for word, _ in column.spelled], type_)


def _translated(array: pa.Array, index: pa.Int32Array, column: Column) -> pa.Array:
    if index.null_count == len(index):
        return array
    meanings = texts([meaning for _, meaning in column.spelled], array.type)
    return pc.coalesce(meanings.take(index), array)


def _spelled_out(array: pa.Array) -> pa.Array:
    """The values themselves, where a file numbers them: words are looked for in texts alone."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _is_text(array: pa.Array) -> bool:
    return pa.types.is_string(array.type) or pa.types.is_large_string(array.type)


def _without_missing(array: pa.Array, column: Column) -> pa.Array:
    if _is_text(array):
        if not pa.types.is_string(column.type):
            array = pc.utf8_trim_whitespace(array)
        spellings = (*MISSING_SPELLINGS, *column.missing_as)
        missing = pc.is_in(array, value_set=texts(spellings, array.type))
    elif pa.types.is_floating(array.type):
        missing = pc.is_nan(array)
    else:
        return array
    return pc.if_else(missing, pa.nulls(1, array.type)[0], array)


def _cast_halves(array: pa.Array, target: pa.DataType, pieces: list[tuple[pa.Array, bool]]) -> None:
    if len(array) == 0:
        return
    for through in (None, pa.float64()):
        if through is not None and not pa.types.is_integer(target):
            break
        try:
            step = array if through is None else array.cast(through)
            pieces.append((_cast(step, target), False))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
        else:
            return
    if len(array) == 1:
        pieces.append((pa.nulls(1, target), True))
        return
    middle = len(array) // 2
    _cast_halves(array[:middle], target, pieces)
    _cast_halves(array[middle:], target, pieces)
