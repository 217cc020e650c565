"""Files in a folder of this machine."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.sources.address import SourceAddress
from taxi_platform.sources.publications import Published, Report, ending_of
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.sources.unfinished_downloads import start_over
from taxi_platform.trips.month import TripMonth


@dataclass(frozen=True)
class FolderSource:
    """Files in a folder of this machine; the template is a ``file://`` URL."""

    template: SourceTemplate

    def fetch(self, month: TripMonth, partial: Path, report: Report) -> Published:
        """See ``TripSource.fetch``."""
        address, origin = self._place(month)
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
        return Published(address, ending_of(address), etag=version)

    def published(self, month: TripMonth) -> str | None:
        """See ``TripSource.published``."""
        _, origin = self._place(month)
        try:
            return _version_of(origin) if origin.is_file() else None
        except OSError as error:
            raise TransientStoreError(f"{month}: {origin}: {error.strerror}") from error

    def _place(self, month: TripMonth) -> tuple[SourceAddress, Path]:
        address = self.template.address(month)
        return address, Path(unquote(address.path))


def _version_of(file: Path) -> str:
    """A version from time and size, like the ETag of web servers."""
    facts = file.stat()
    return f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
