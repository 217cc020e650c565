"""Doubles from the numbers that databases and programs write instead: decimals and short floats.

Each becomes the double that is nearest to what it stands for, so that a fare of 8.70 is the same
value whatever type it came in. Arrow's own cast of decimals is not exact: it multiplies by a power
of ten that no double holds.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_EXACT = 1 << 53
"""Up to it every whole number is a double."""

_EXACT_POWER = 22
"""Up to it every power of ten is a double."""


def is_inexact(type_: pa.DataType) -> bool:
    """Whether Arrow's cast to a double would not give the nearest one, or not what was meant."""
    return pa.types.is_decimal(type_) or pa.types.is_float32(type_)


def nearest_doubles(array: pa.Array) -> pa.Array:
    """Decimals, or 32-bit floats, as doubles.

    Of a decimal it is the nearest double. A 32-bit float holds some 7 digits: it stands for the
    shortest decimal that rounds to it, as every program prints it, and of that the nearest double
    is taken.
    """
    if array.null_count < len(array) and pa.types.is_decimal(array.type):
        quick = _by_division(array)
        if quick is not None:
            return quick
    return array.cast(pa.string()).cast(pa.float64())


def _by_division(array: pa.Array) -> pa.Array | None:
    """Decimals of up to 53 bits, exactly: both sides are doubles, and a division rounds once."""
    scale = array.type.scale
    if not pa.types.is_decimal128(array.type) or not 0 <= scale <= _EXACT_POWER:
        return None
    halves = np.frombuffer(array.buffers()[1], dtype=np.int64).reshape(-1, 2)
    low, high = halves[array.offset : array.offset + len(array)].T
    # Below a null there may be anything; then the slow way is as good.
    if (high != low >> 63).any() or (np.abs(low) > _EXACT).any():
        return None
    doubles = low.astype(np.float64) / 10.0**scale
    values = pa.Array.from_buffers(pa.float64(), len(array), [None, pa.py_buffer(doubles)])
    if not array.null_count:
        return values
    return pc.if_else(pc.is_valid(array), values, pa.nulls(1, pa.float64())[0])
