"""Unfinished downloads: what is there of a file, and which version of it that is.

A download that broke off is taken up only if its version is noted beside it, and known to be of the
same bytes. Who holds the file is the business of ``atomic_files``.
"""

import json
import os
from pathlib import Path


def notes_of(partial: Path) -> Path:
    """Where the version of the file is noted that an unfinished download is a part of."""
    return partial.with_name(f"{partial.name}.json")


def validator_of(partial: Path, published_at: str | None) -> str | None:
    """The strong version of what was received before, if it can be resumed: from there, or at all.

    Only what has a strong version can: the rest may be of another file else.
    """
    try:
        notes = json.loads(notes_of(partial).read_text())
        size = partial.stat().st_size
    except (OSError, ValueError):
        return None
    if not size or (published_at is not None and notes.get("url") != published_at):
        return None
    validator: str | None = notes.get("validator")
    return validator


def start_over(partial: Path) -> None:
    """Empties an unfinished download; it keeps its name, which this process holds."""
    notes_of(partial).unlink(missing_ok=True)
    os.truncate(partial, 0)


def forget(partial: Path) -> None:
    """Removes an unfinished download and what is known of it."""
    notes_of(partial).unlink(missing_ok=True)
    partial.unlink(missing_ok=True)
