"""Unfinished downloads: the received part of a file, and notes about its version.

An interrupted download is resumed only if its notes have a strong version. ``atomic_files`` locks
the file.
"""

import json
import os
from pathlib import Path

from taxi_platform.sources.address import SourceAddress


def notes_of(partial: Path) -> Path:
    """The path of the notes about an unfinished download's version."""
    return partial.with_name(f"{partial.name}.json")


def validator_of(partial: Path, published_at: SourceAddress | None) -> str | None:
    """The strong version of an unfinished download, None if it cannot be resumed.

    Without a strong version, the rest could belong to another file. With ``published_at``, only a
    download from that address can be resumed.
    """
    try:
        notes = json.loads(notes_of(partial).read_text())
        size = partial.stat().st_size
    except (OSError, ValueError):
        return None
    if not size or (published_at is not None and notes.get("address") != _mark_of(published_at)):
        return None
    validator: str | None = notes.get("validator")
    return validator


def note_version(partial: Path, published_at: SourceAddress, validator: str | None) -> None:
    """Writes the notes of an unfinished download: its address without secrets, and its version."""
    notes = {"address": _mark_of(published_at), "validator": validator}
    notes_of(partial).write_text(json.dumps(notes))


def _mark_of(address: SourceAddress) -> str:
    return f"{address} {address.fingerprint()}"


def start_over(partial: Path) -> None:
    """Empties an unfinished download, but keeps the file, which this process has locked."""
    notes_of(partial).unlink(missing_ok=True)
    os.truncate(partial, 0)


def forget(partial: Path) -> None:
    """Removes an unfinished download and its notes."""
    notes_of(partial).unlink(missing_ok=True)
    partial.unlink(missing_ok=True)
