"""Converts Python values to Arrow arrays, and Arrow arrays to NumPy, without importing pandas.

pyarrow imports pandas when it first converts a Python value (``pa.array``, ``pa.scalar``, a number
passed to ``pyarrow.compute``) or when ``to_numpy`` is called, to check for pandas types. That
import takes as long as cleaning a million rows.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def integers(
    values: Sequence[int] | npt.NDArray[np.integer], type_: pa.DataType | None = None
) -> pa.Array:
    """An int64 array, or an array of a type that int64 can be cast to."""
    numbers = np.ascontiguousarray(values, dtype=np.int64)
    array = pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(numbers)])
    return array if type_ is None else array.cast(type_)


def scalar(spelled: str, type_: pa.DataType) -> pa.Scalar:
    """A scalar of any type that strings can be cast to."""
    return texts([spelled], type_)[0]


def booleans(values: Sequence[bool]) -> pa.BooleanArray:
    """A boolean array without nulls."""
    bits = np.packbits(np.array(values, dtype=np.bool_), bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])


FALSE = booleans([False])[0]


def texts(values: Sequence[str | None], type_: pa.DataType | None = None) -> pa.Array:
    """A string array, or an array of a type that strings can be cast to; at most 2 GB of text."""
    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    present = booleans([value is not None for value in values]).buffers()[1]
    array = pa.Array.from_buffers(
        pa.string(),
        len(values),
        [present, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))],
    )
    return array if type_ is None else array.cast(type_)


def chosen_texts(chosen: npt.NDArray[np.bool_], names: pa.StringArray) -> pa.ListArray:
    """For each row of a table of booleans, the names of the columns that are True, in order.

    Args:
        chosen: the table, one column per name.
        names: the names of the columns.
    """
    rows, columns = np.nonzero(chosen)
    ends = np.searchsorted(rows, np.arange(len(chosen) + 1))
    return pa.ListArray.from_arrays(integers(ends, pa.int32()), names.take(integers(columns)))


def numbers_of(array: pa.Array) -> npt.NDArray[Any]:
    """A NumPy view of an array of numbers. The values at the positions of nulls are undefined."""
    view = np.frombuffer(array.buffers()[1], dtype=array.type.to_pandas_dtype())
    return view[array.offset : array.offset + len(array)]


def present(array: pa.Array) -> npt.NDArray[np.bool_]:
    """A boolean NumPy array that is True where the Arrow array is not null."""
    return booleans_of(array.is_valid())


def booleans_of(array: pa.BooleanArray) -> npt.NDArray[np.bool_]:
    """A NumPy copy of a boolean array without nulls."""
    bits = np.frombuffer(array.buffers()[1], dtype=np.uint8)
    end = array.offset + len(array)
    return np.unpackbits(bits, count=end, bitorder="little")[array.offset :].view(np.bool_)


@cache
def byte_table(chosen: bytes) -> npt.NDArray[np.bool_]:
    """A table of 256 entries, indexed by byte, that is True for the chosen ones."""
    table = np.zeros(256, dtype=np.bool_)
    table[list(chosen)] = True
    return table


def characters(array: pa.StringArray, most: int) -> npt.NDArray[np.uint8] | None:
    """The bytes of strings of equal length, one row per string. Nulls are skipped.

    Args:
        array: the strings.
        most: maximum length in bytes.

    Returns:
        None if the strings differ in length, are longer, or are all null.
    """
    if array.null_count == len(array):
        return None
    ends = _offsets(array)
    lengths = ends[1:] - ends[:-1]
    length = int(lengths.max())
    if not 0 < length <= most:
        return None
    expected = present(array) * np.int32(length) if array.null_count else length
    if not (lengths == expected).all():
        return None
    return bytes_of_texts(array).reshape(-1, length)


def bytes_of_texts(array: pa.StringArray) -> npt.NDArray[np.uint8]:
    """A NumPy view of the bytes of all strings, joined."""
    ends = _offsets(array)
    return np.frombuffer(array.buffers()[2] or b"", dtype=np.uint8)[ends[0] : ends[-1]]


def _offsets(array: pa.StringArray) -> npt.NDArray[np.int32]:
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int32)
    return offsets[array.offset : array.offset + len(array) + 1]
