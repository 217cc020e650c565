"""Files in a folder of this machine."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.sources.publications import Published, Report, ending_of
from taxi_platform.sources.unfinished_downloads import start_over
from taxi_platform.trips.month import TripMonth


@dataclass(frozen=True)
class FolderSource:
    """Files in a folder of this machine; the template is a ``file://`` URL."""

    template: str

    def fetch(self, month: TripMonth, partial: Path, report: Report) -> Published:
        """See ``TripSource.fetch``."""
        url = self.template.format(color=month.color, month=month.year_month)
        origin = Path(unquote(urlsplit(url).path))
        start_over(partial)
        try:
            # Before the copy: if the file is replaced meanwhile, the old version is recorded, and
            # the new one is detected later.
            version = _version_of(origin)
            shutil.copyfile(origin, partial)
            size = partial.stat().st_size
        except (FileNotFoundError, IsADirectoryError) as error:
            raise PermanentStoreError(
                f"{month}: not published: there is no file {origin}; check TAXI_SOURCE_URL"
            ) from error
        report(size, size)
        return Published(url, ending_of(url), etag=version)

    def published(self, month: TripMonth) -> str | None:
        """See ``TripSource.published``."""
        _, origin = self._place(month)
        try:
            return _version_of(origin) if origin.is_file() else None
        except OSError as error:
            raise TransientStoreError(f"{month}: {origin}: {error.strerror}") from error

    def _place(self, month: TripMonth) -> tuple[str, Path]:
        url = self.template.format(color=month.color, month=month.year_month)
        return url, Path(unquote(urlsplit(url).path))


def _version_of(file: Path) -> str:
    """A version from time and size, like the ETag of web servers."""
    facts = file.stat()
    return f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
