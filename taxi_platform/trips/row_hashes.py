"""Hashes rows, to find duplicates.

Whole columns are hashed at a time. Two different rows have the same hash by chance only, about once
in 10^15 pairs.
"""

import hashlib
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.arrow_values import characters, numbers_of, present, scalar

Hashes = npt.NDArray[np.uint64]

_ODD = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1

_NO_AMOUNT = scalar("-7654321.0123456789", pa.float64())
"""Replaces a missing amount. Of similar size as real amounts, so that their digits are kept."""

_NO_TEXT = 0xFFFF_FFFF_FFFF_FFFF
"""Replaces a missing text: eight bytes that UTF-8 never contains."""


def row_hashes(rows: pa.RecordBatch) -> Hashes:
    """The hash of each row of a batch in a canonical schema; it depends on the values only."""
    whole = np.zeros(rows.num_rows, dtype=np.uint64)
    amounts = np.zeros(rows.num_rows, dtype=np.float64)
    product = np.empty(rows.num_rows, dtype=np.uint64)
    codes: list[npt.NDArray[np.uint16]] = []
    for position, column in enumerate(rows.columns):
        if pa.types.is_floating(column.type):
            _add_amounts(amounts, column, position, product.view(np.float64))
        elif pa.types.is_string(column.type):
            _add_integers(whole, _text_numbers(column), position, product)
        elif column.type.bit_width == 16:
            codes.append(_bits(column))
        else:
            _add_integers(whole, _bits(column), position, product)
    for first in range(0, len(codes), 4):
        position = rows.num_columns + first
        _add_integers(whole, _packed(codes[first : first + 4]), position, product)
    # Amounts are summed as floats before they are hashed. The sign is the top bit, which integer
    # multiplication does not mix: an even number of sign changes (a reversal) would cancel out.
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
    weight = 1 + _weight(position) / _MASK  # between 1 and 2, with 53 bits
    if column.null_count == len(column):
        amounts += np.float64(_NO_AMOUNT.as_py()) * weight
        return
    filled = pc.fill_null(column, _NO_AMOUNT) if column.null_count else column
    np.multiply(numbers_of(filled), weight, out=product)
    amounts += product


def _add_integers(
    whole: Hashes, bits: npt.NDArray[np.unsignedinteger], position: int, product: Hashes
) -> None:
    np.multiply(bits, np.uint64(_weight(position)), out=product, dtype=np.uint64)
    np.add(whole, product, out=whole)


def _packed(codes: list[npt.NDArray[np.uint16]]) -> Hashes:
    """Up to four columns of codes as one of whole numbers, which halves the time."""
    words = np.zeros((len(codes[0]), 4), dtype=np.uint16)
    for at, column in enumerate(codes):
        words[:, at] = column
    return words.view(np.uint64).ravel()


@cache
def _no_number(type_: pa.DataType) -> pa.Scalar:
    """Replaces a missing number: the minimum of its type, or the first valid time."""
    if pa.types.is_temporal(type_):
        return scalar("0001-01-01", type_)
    return scalar(str(-(1 << (type_.bit_width - 1))), type_)


def _bits(column: pa.Array) -> npt.NDArray[np.unsignedinteger]:
    """The values as unsigned numbers, with one that stands for null."""
    if column.null_count:
        column = pc.fill_null(column, _no_number(column.type))
    view = np.frombuffer(column.buffers()[1], dtype=f"u{column.type.bit_width // 8}")
    return view[column.offset : column.offset + len(column)]


def _text_numbers(column: pa.StringArray) -> Hashes:
    """A number for each text. A text of up to 8 bytes is used as a number itself."""
    if (codes := characters(column, 8)) is not None:
        if codes.shape[1] == 1:  # flags
            return _with_missing(codes.ravel().astype(np.uint64), column)
        padded = np.zeros((len(codes), 8), dtype=np.uint8)
        padded[:, : codes.shape[1]] = codes
        return _with_missing(padded.view("<u8").ravel(), column)
    encoded = column.dictionary_encode()
    numbers = np.array([_number(t) for t in encoded.dictionary.to_pylist()], dtype=np.uint64)
    indices = encoded.indices.drop_null() if encoded.null_count else encoded.indices
    return _with_missing(numbers[numbers_of(indices)], column)


def _with_missing(numbers: Hashes, column: pa.StringArray) -> Hashes:
    if not column.null_count:
        return numbers
    every = np.full(len(column), _NO_TEXT, dtype=np.uint64)
    every[present(column)] = numbers
    return every


def _number(text: str) -> int:
    encoded = text.encode()
    if len(encoded) > 8:
        encoded = hashlib.blake2b(encoded, digest_size=8).digest()
    return int.from_bytes(encoded, "little")
