"""Casts of whole columns that single out the values which do not fit.

A cast of Arrow fails as a whole. Here the failing column is halved until only the bad values are
left, so that one of them never costs its neighbours. Which values count as missing, and which
numbers no taximeter shows, is decided here, for every format alike.
"""

import math

import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.schema import Column

MISSING_SPELLINGS = ("", "NULL", "null", "NaN", "nan", "N/A", "NA")

LARGEST_AMOUNT = 1e12
"""Beyond it a number is damage: the largest ever published is a distance of 259,778 miles."""


def fits(array: pa.Array) -> bool:
    """Whether every value can be real and be stored.

    A float must be finite and of a possible size; a text must not hold a NUL, which Postgres
    cannot store.
    """
    if pa.types.is_string(array.type):
        return not pc.any(pc.match_substring(array, "\0")).as_py()
    if not pa.types.is_floating(array.type) or array.null_count == len(array):
        return True
    # A sum is NaN or infinite if any value is; min_max alone passes over NaN.
    if not math.isfinite(pc.sum(array).as_py()):
        return False
    bounds = pc.min_max(array)
    return bounds["min"].as_py() >= -LARGEST_AMOUNT and bounds["max"].as_py() <= LARGEST_AMOUNT


def cast_whole(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Casts an array that is known or hoped to be clean.

    Raises:
        pa.ArrowInvalid: some value does not fit.
    """
    result = array if array.type == target else array.cast(target)
    if not fits(result):
        raise pa.ArrowInvalid("a value is not finite, out of all proportion or holds a NUL")
    return result


def cast_each(array: pa.Array, column: Column) -> tuple[pa.Array, pa.BooleanArray]:
    """Casts what can be cast: the column with nulls for the bad values, and where those are.

    Accepts all that ``cast_whole`` accepts, and besides: blanks around numbers and times, and
    whole numbers spelled as floats (``1.0``).
    """
    array = _without_missing(array, column)
    pieces: list[tuple[pa.Array, bool]] = []
    _cast_halves(array, column.type, pieces)
    values = pa.concat_arrays([piece for piece, _ in pieces]) if pieces else pa.nulls(0)
    bad = pa.array([is_bad for piece, is_bad in pieces for _ in range(len(piece))], type=pa.bool_())
    return values.cast(column.type), bad


def _without_missing(array: pa.Array, column: Column) -> pa.Array:
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        if not pa.types.is_string(column.type):
            array = pc.utf8_trim_whitespace(array)
        missing = pc.is_in(array, value_set=pa.array(MISSING_SPELLINGS, type=array.type))
    elif pa.types.is_floating(array.type):
        missing = pc.is_nan(array)
    else:
        return array
    return pc.if_else(missing, pa.scalar(None, array.type), array)


def _cast_halves(array: pa.Array, target: pa.DataType, pieces: list[tuple[pa.Array, bool]]) -> None:
    if len(array) == 0:
        return
    for through in (None, pa.float64()):
        if through is not None and not pa.types.is_integer(target):
            break
        try:
            step = array if through is None else array.cast(through)
            pieces.append((cast_whole(step, target), False))
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
