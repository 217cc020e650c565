"""Arrow's arrays from Python's values, and NumPy's view of them, without pandas.

pyarrow imports pandas as soon as it is handed a value of Python's (``pa.array``, ``pa.scalar``, a
number in a call of ``pyarrow.compute``) or asked for ``to_numpy``, to see whether pandas' types are
meant. In a process that has not needed it yet, that takes as long as a million rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def integers(values: Sequence[int], type_: pa.DataType | None = None) -> pa.Array:
    """An array of int64, or of a type that int64 can be cast to."""
    numbers = np.array(values, dtype=np.int64)
    array = pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(numbers)])
    return array if type_ is None else array.cast(type_)


def scalar(spelled: str, type_: pa.DataType) -> pa.Scalar:
    """A value of any type that strings can be cast to."""
    return texts([spelled], type_)[0]


def booleans(values: Sequence[bool]) -> pa.BooleanArray:
    """An array of truth values, none of them missing."""
    bits = np.packbits(np.array(values, dtype=np.bool_), bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])


FALSE = booleans([False])[0]


def texts(values: Sequence[str | None], type_: pa.DataType | None = None) -> pa.Array:
    """An array of strings, or of a type that strings can be cast to; 2 GB of text at most."""
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


def lists_of_texts(values: Sequence[Sequence[str]]) -> pa.ListArray:
    """An array of lists of strings, none of them missing."""
    ends = np.cumsum([0, *(len(row) for row in values)]).tolist()
    flat = texts([text for row in values for text in row])
    return pa.ListArray.from_arrays(integers(ends, pa.int32()), flat)


def numbers_of(array: pa.Array) -> npt.NDArray[Any]:
    """NumPy's view of an array of numbers; what it shows of missing values means nothing."""
    view = np.frombuffer(array.buffers()[1], dtype=array.type.to_pandas_dtype())
    return view[array.offset : array.offset + len(array)]


def present(array: pa.Array) -> npt.NDArray[np.bool_]:
    """NumPy's view of where values are not missing."""
    bits = np.frombuffer(array.is_valid().buffers()[1], dtype=np.uint8)
    return np.unpackbits(bits, count=len(array), bitorder="little").view(np.bool_)


def characters(array: pa.StringArray, most: int) -> npt.NDArray[np.uint8] | None:
    """The bytes of texts of one length, a row each, missing ones left out.

    Args:
        array: the texts.
        most: the greatest length, in bytes.

    Returns:
        None if they differ in length, are longer, or there are none.
    """
    if array.null_count == len(array):
        return None
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    lengths = ends[1:] - ends[:-1]
    length = int(lengths.max())
    if not 0 < length <= most:
        return None
    expected = present(array) * np.int32(length) if array.null_count else length
    if not (lengths == expected).all():
        return None
    return np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[-1]].reshape(-1, length)
