"""Unfinished files that runs left in a landing zone's folder. Only looks for them."""

import re
from collections.abc import Iterator
from pathlib import Path

from taxi_platform.landing.atomic_files import PARTIAL, unlocked
from taxi_platform.landing.names import CLEANED, MONTH_NAME, REJECTED, own_files
from taxi_platform.landing.versions import RAW
from taxi_platform.sources.publications import RAW_ENDINGS
from taxi_platform.sources.unfinished_downloads import notes_of

_ENDINGS = "|".join(map(re.escape, (*RAW_ENDINGS, ".source.json")))

_PARTIAL_NAME = re.compile(rf"\.(?:fetched-)?{MONTH_NAME}(?:{_ENDINGS})?{re.escape(PARTIAL)}")


def abandoned(root: Path) -> Iterator[Path]:
    """The unfinished files that killed runs left; the next run of their month replaces them."""
    return (path for path in unlocked(_partials(root)) if not _is_resumable(path))


def resumable(root: Path) -> Iterator[Path]:
    """The downloads that broke off; the next run of their month takes them up."""
    return filter(_is_resumable, unlocked(_partials(root)))


def _partials(root: Path) -> list[Path]:
    return sorted(own_files(root, (RAW, CLEANED, REJECTED), _PARTIAL_NAME))


def _is_resumable(partial: Path) -> bool:
    return notes_of(partial).exists()
