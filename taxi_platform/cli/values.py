"""Values of a query's answer as text, without loss: for people, CSV and JSON."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal


def text_of(value: object) -> str:
    """A value as people and CSV have it; not for null, which each format writes in its own way."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, Mapping | list | tuple):
        return json_of(value)
    return str(value)


def json_of(value: object) -> str:
    """A value as JSON, in ASCII: no terminal takes it for anything but text.

    Numbers keep all their digits. What JSON lacks, such as a date or NaN, is a string.
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int) or _is_finite(value):
        return text_of(value)
    if isinstance(value, Mapping):
        entries = [f"{json_of(str(name))}: {json_of(entry)}" for name, entry in value.items()]
        return f"{{{', '.join(entries)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(json_of, value))}]"
    text = value.isoformat() if isinstance(value, datetime) else text_of(value)
    # The one control character that JSON leaves as it is.
    return json.dumps(text).replace("\x7f", "\\u007f")


def _is_finite(value: object) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, float) and math.isfinite(value)
