"""Names and constants as DuckDB's SQL takes them."""

from __future__ import annotations


def quoted(identifier: str) -> str:
    """An identifier, quoted for DuckDB."""
    return '"' + identifier.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """A constant, quoted for DuckDB, where it takes no parameter."""
    return "'" + text.replace("'", "''") + "'"
