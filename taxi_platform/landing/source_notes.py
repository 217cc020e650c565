"""Where published files came from: a file of notes beside each, which names them by content."""

import json
from pathlib import Path

from taxi_platform.landing.atomic_files import atomic_paths

_KEPT = 4
"""Notes are written before their file is in its place; a run killed between leaves one too many."""


def note_source(path: Path, sha256: str, source: str) -> None:
    """Records where a published file came from.

    Other processes read the notes at any time, also those of the file that this one replaces.

    Args:
        path: where the file lies, or will lie.
        sha256: its checksum, in hexadecimal.
        source: scheme, host and path, without possible secrets.

    Raises:
        OSError: the notes cannot be written.
    """
    if noted_source(path, sha256) == source:
        return
    with atomic_paths(_path_of_notes(path)) as (partial,):
        others = {other: of for other, of in _notes_of(path).items() if other != sha256}
        latest = [*others.items(), (sha256, source)][-_KEPT:]
        partial.write_text(json.dumps(dict(latest)))


def noted_source(path: Path, sha256: str) -> str | None:
    """Where a published file came from; None if it is not known of this content."""
    return _notes_of(path).get(sha256)


def _path_of_notes(path: Path) -> Path:
    return path.with_name(path.name.partition(".")[0] + ".source.json")


def _notes_of(path: Path) -> dict[str, str]:
    try:
        noted = json.loads(_path_of_notes(path).read_text())
        # Earlier versions wrote one note, of one file.
        return {noted["sha256"]: noted["source"]} if "sha256" in noted else dict(noted)
    except (OSError, ValueError, TypeError, KeyError):
        return {}
