"""Converts decimals and 32-bit floats to doubles.

Each becomes the nearest double, so that a fare of 8.70 is the same value whatever its type in the
file. Arrow's cast of decimals is not exact: it multiplies by a power of ten that no double equals.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_EXACT = 1 << 53
"""Every integer up to this one is an exact double."""

_EXACT_POWER = 22
"""Every power of ten up to this exponent is an exact double."""


def is_inexact(type_: pa.DataType) -> bool:
    """Whether an Arrow cast of this type to double would not give the intended value."""
    return pa.types.is_decimal(type_) or pa.types.is_float32(type_)


def nearest_doubles(array: pa.Array) -> pa.Array:
    """Converts decimals or 32-bit floats to doubles.

    A decimal becomes the nearest double. A 32-bit float has about 7 digits: it becomes the double
    nearest to the shortest decimal that rounds to it, which is what programs print.
    """
    if array.null_count < len(array) and pa.types.is_decimal(array.type):
        quick = _by_division(array)
        if quick is not None:
            return quick
    return array.cast(pa.string()).cast(pa.float64())


def _by_division(array: pa.Array) -> pa.Array | None:
    """Converts decimals of up to 53 bits: both operands are exact, and division rounds once."""
    scale = array.type.scale
    if not pa.types.is_decimal128(array.type) or not 0 <= scale <= _EXACT_POWER:
        return None
    halves = np.frombuffer(array.buffers()[1], dtype=np.int64).reshape(-1, 2)
    low, high = halves[array.offset : array.offset + len(array)].T
    # The values at the positions of nulls are undefined; if they are too large, use the slow way.
    if (high != low >> 63).any() or (np.abs(low) > _EXACT).any():
        return None
    doubles = low.astype(np.float64) / 10.0**scale
    values = pa.Array.from_buffers(pa.float64(), len(array), [None, pa.py_buffer(doubles)])
    if not array.null_count:
        return values
    return pc.if_else(pc.is_valid(array), values, pa.nulls(1, pa.float64())[0])
