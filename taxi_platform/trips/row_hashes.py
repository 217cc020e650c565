"""One number for each row, the same for the same values: by which doubled rows are found.

Made of whole columns at a time. Two rows that differ have the same number by chance alone, about
once in 10^15 pairs.
"""

import hashlib
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.arrow_values import numbers_of, scalar
from taxi_platform.trips.texts import single_bytes

Hashes = npt.NDArray[np.uint64]

_ODD = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1

_NO_AMOUNT = scalar("-7654321.0123456789", pa.float64())
"""Stands for a missing amount. Near enough to real ones that no digit of theirs is rounded away."""

_NO_NUMBER = 0x5851F42D4C957F2D
_NO_TEXT = 0x100
"""Stands for a missing text; a text of one ASCII letter is its number."""


def row_hashes(rows: pa.RecordBatch) -> Hashes:
    """The number of each row of a batch in a canonical schema; it depends on the values alone."""
    whole = np.zeros(rows.num_rows, dtype=np.uint64)
    amounts = np.zeros(rows.num_rows, dtype=np.float64)
    product = np.empty(rows.num_rows, dtype=np.uint64)
    for position, column in enumerate(rows.columns):
        if pa.types.is_floating(column.type):
            _add_amounts(amounts, column, position, product.view(np.float64))
        else:
            _add_integers(whole, column, position, product)
    # The sign of an amount is its highest bit, which no multiplication brings down: of a reversal
    # and its trip, an even number of signs would cancel out. Hence their sum as amounts.
    whole += amounts.view(np.uint64) * np.uint64(_weight(-1))
    whole ^= whole >> np.uint64(32)
    whole *= np.uint64(_ODD)
    whole ^= whole >> np.uint64(29)
    return whole


@cache
def _weight(position: int) -> int:
    mixed = ((position + 2) * _ODD) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    return (mixed ^ (mixed >> 27)) | 1


def _add_amounts(
    amounts: npt.NDArray[np.float64],
    column: pa.Array,
    position: int,
    product: npt.NDArray[np.float64],
) -> None:
    weight = 1 + _weight(position) / _MASK  # between 1 and 2, of 53 bits
    if column.null_count == len(column):
        amounts += np.float64(_NO_AMOUNT.as_py()) * weight
        return
    filled = pc.fill_null(column, _NO_AMOUNT) if column.null_count else column
    np.multiply(numbers_of(filled), weight, out=product)
    amounts += product


def _add_integers(whole: Hashes, column: pa.Array, position: int, product: Hashes) -> None:
    weight = _weight(position)
    if pa.types.is_string(column.type):
        np.multiply(_text_numbers(column), np.uint64(weight), out=product, dtype=np.uint64)
        np.add(whole, product, out=whole)
        return
    if column.null_count < len(column):
        unsigned = _bits(pc.fill_null(column, _zero(column.type)))
        np.multiply(unsigned, np.uint64(weight), out=product, dtype=np.uint64)
        np.add(whole, product, out=whole)
    if column.null_count:
        missing = np.uint64((weight * _NO_NUMBER) & _MASK)
        if column.null_count == len(column):
            np.add(whole, missing, out=whole)
        else:
            np.add(whole, missing, out=whole, where=_missing(column))


@cache
def _zero(type_: pa.DataType) -> pa.Scalar:
    return scalar("1970-01-01" if pa.types.is_temporal(type_) else "0", type_)


def _bits(column: pa.Array) -> npt.NDArray[np.unsignedinteger]:
    view = np.frombuffer(column.buffers()[1], dtype=f"u{column.type.bit_width // 8}")
    return view[column.offset : column.offset + len(column)]


def _missing(column: pa.Array) -> npt.NDArray[np.bool_]:
    bits = np.frombuffer(column.is_null().buffers()[1], dtype=np.uint8)
    return np.unpackbits(bits, count=len(column), bitorder="little").view(np.bool_)


def _text_numbers(column: pa.StringArray) -> npt.NDArray[np.unsignedinteger]:
    if (letters := single_bytes(column)) is not None:
        return letters
    encoded = column.dictionary_encode()
    numbers = np.array([_number(t) for t in encoded.dictionary.to_pylist()], dtype=np.uint64)
    if not encoded.null_count:
        return numbers[numbers_of(encoded.indices)]
    with_missing = np.append(numbers, np.uint64(_NO_TEXT))
    at_end = scalar(str(len(numbers)), pa.int32())
    return with_missing[numbers_of(pc.fill_null(encoded.indices, at_end))]


def _number(text: str) -> int:
    if len(text) == 1 and text.isascii():
        return ord(text)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
