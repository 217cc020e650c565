"""Unfinished files that runs left in a landing zone's folder. Only looks for them."""

import re
from collections.abc import Iterator
from pathlib import Path

from taxi_platform.landing.atomic_files import PARTIAL, unlocked
from taxi_platform.sources.unfinished_downloads import notes_of

_WRITTEN = ("raw", "cleaned", "rejected")
"""The folders in which runs write unfinished files."""

_PARTIAL_NAME = re.compile(
    rf"\.(?:fetched-)?(?P<color>[a-z0-9]+)_tripdata_[0-9]{{4}}-[0-9]{{2}}(?:\.parquet|\.csv(?:\.gz)?|\.source\.json)?{re.escape(PARTIAL)}"
)


def abandoned(root: Path) -> Iterator[Path]:
    """The unfinished files that killed runs left; the next run of their month replaces them."""
    return (path for path in unlocked(_partials(root)) if not _is_resumable(path))


def resumable(root: Path) -> Iterator[Path]:
    """The downloads that broke off; the next run of their month takes them up."""
    return filter(_is_resumable, unlocked(_partials(root)))


def _partials(root: Path) -> list[Path]:
    """The unfinished files that runs make, by folder and name; others' are not looked at."""
    found = [path for where in _WRITTEN for path in (root / where).glob(f"*/.*{PARTIAL}")]
    return sorted(
        path
        for path in found
        if (match := _PARTIAL_NAME.fullmatch(path.name))
        and match["color"] == path.parent.name
        and path.is_file()
        and not path.is_symlink()
    )


def _is_resumable(partial: Path) -> bool:
    return notes_of(partial).exists()
