"""Text for people: numbers in words, and text from elsewhere made safe to show."""

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What moves a terminal's cursor, changes its colors or its title, or reverses text."""


def printable(text: str) -> str:
    r"""The same text with control characters and lone surrogates as escapes, such as ``\x1b``.

    Tabs and line ends stay.
    """
    encodable = text.encode(errors="backslashreplace").decode()
    return _CONTROL.sub(lambda found: _escape(found[0]), encodable.replace("\r\n", "\n"))


def counted(count: int, noun: str) -> str:
    """A number with its noun: ``1 month``, ``2,000 months``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
