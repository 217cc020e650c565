"""Takes secrets out of texts, in whatever spelling they are there.

An error message may repeat a password as a URL has it, as JSON or Python quote it, or broken into
lines. Redact before a text is shortened: a part of a secret would not be recognized.
"""

import base64
import html
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

REDACTED = "***"

SHORT = 4
"""Secrets of fewer characters are redacted only as words of their own: texts stay readable."""


def redact(text: str, secrets: Iterable[str]) -> str:
    """The same text, with ``***`` in place of each secret.

    Args:
        text: of any length.
        secrets: values to redact; empty ones are left out.
    """
    # Longest first: one secret may be a part of another.
    pattern = _pattern(tuple(sorted(set(secrets) - {""}, key=lambda s: (-len(s), s))))
    return pattern.sub(REDACTED, text) if pattern else text


@lru_cache(maxsize=8)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    if not secrets:
        return None
    spellings = {spelling: None for secret in secrets for spelling in _spellings(secret)}
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile("|".join(map(_expression, longest_first)))


def _spellings(secret: str) -> Iterable[str]:
    plain = _encodable(secret)
    yield plain
    yield quote(plain)
    yield quote(plain, safe="")
    yield quote_plus(plain)
    yield quote(quote(plain, safe=""), safe="")
    yield repr(plain.encode())[2:-1]
    yield json.dumps(plain)[1:-1]
    yield json.dumps(plain, ensure_ascii=False)[1:-1]
    yield repr(plain)[1:-1]
    yield html.escape(plain)
    yield html.escape(plain, quote=False)
    yield plain.replace("'", "''")
    yield plain.replace("\\", "\\\\").replace("'", "\\'")
    yield base64.b64encode(plain.encode()).decode()


def _encodable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _expression(spelling: str) -> str:
    """A spelling as a regular expression; spaces and line ends may be folded or added."""
    parts = re.split(r"(%[0-9A-F]{2}|\s+)", spelling)
    found = "".join(_part(part) for part in parts if part)
    return found if len(spelling) >= SHORT else rf"(?<!\w){found}(?!\w)"


def _part(part: str) -> str:
    if part.isspace():
        return r"\s+"
    if re.fullmatch(r"%[0-9A-F]{2}", part):
        return f"(?:{part}|{part.lower()})"
    # Terminals and mail programs break long words.
    return r"(?:\r?\n[ \t]*)?".join(map(re.escape, part))
