"""Opens published files as byte streams: decompresses gzip and converts UTF-16 to UTF-8."""

import codecs
import io
from pathlib import Path
from typing import IO, cast

from isal import igzip, isal_zlib

from taxi_platform.trips.errors import TripFileError

GZIP_MAGIC = b"\x1f\x8b"

PIECE_BYTES = 1 << 17
"""Bytes per read. Larger reads need fresh memory, which the kernel has to clear first."""

GZIP_LAYERS = 2
"""Maximum number of nested gzip layers: a gzipped file may be served or stored with
``Content-Encoding: gzip`` on top. More layers suggest a decompression bomb."""

_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_UTF_32_LE = codecs.BOM_UTF32_LE  # starts with UTF-16's byte order mark


def read_first_bytes(path: Path, size: int) -> bytes:
    """The first bytes of a file, after decompressing gzip and converting UTF-16 to UTF-8.

    Raises:
        TripFileError: the gzip stream is damaged.
    """
    start = bytearray(size)
    with open_bytes(path) as stream:
        return bytes(start[: fill(memoryview(start), stream, path)])


def open_bytes(path: Path) -> IO[bytes]:
    """Opens a file as a byte stream, decompressing gzip and converting UTF-16 to UTF-8.

    Raises:
        TripFileError: the gzip stream is damaged at its start.
    """
    layers, start = _layers_of(path)
    stream: IO[bytes] = path.open("rb", buffering=0)
    for _ in range(layers):
        stream = _gunzipped(stream)
    encoding = None if start.startswith(_UTF_32_LE) else _MARKS.get(start[:2])
    return cast("IO[bytes]", _Recoded(stream, encoding)) if encoding else stream


def is_gzipped(path: Path) -> bool:
    """Whether the first bytes of a file are those of gzip."""
    with path.open("rb") as plain:
        return plain.read(2) == GZIP_MAGIC


def fill(target: memoryview, stream: IO[bytes], path: Path) -> int:
    """Reads until the buffer is full or the file ends, and returns the number of bytes read.

    Raises:
        TripFileError: the gzip stream is damaged.
    """
    filled = 0
    try:
        while filled < len(target):
            read = stream.readinto(target[filled : filled + PIECE_BYTES])  # type: ignore[attr-defined]
            if not read:
                break
            filled += read
    except (EOFError, OSError, isal_zlib.error) as error:  # type: ignore[misc] # stubbed as a value
        raise TripFileError(
            f"{path.name} is a damaged or truncated gzip file ({error}): download it again"
        ) from error
    return filled


def _layers_of(path: Path) -> tuple[int, bytes]:
    """The number of gzip layers of a file, and its first bytes after decompression."""
    layers = 0
    while True:
        stream: IO[bytes] = path.open("rb", buffering=0)
        for _ in range(layers):
            stream = _gunzipped(stream)
        with stream:
            start = bytearray(4)
            start = start[: fill(memoryview(start), stream, path)]
        if layers == GZIP_LAYERS or not start.startswith(GZIP_MAGIC):
            return layers, bytes(start)
        layers += 1


def _gunzipped(below: IO[bytes]) -> IO[bytes]:
    # Not igzip_threaded: its thread ends with the thread that opened the file, and the reader then
    # reports the end of the file, without an error. It is hardly faster.
    return cast("IO[bytes]", _OwningGzip(below))


class _OwningGzip(igzip.IGzipFile):
    """A gzip stream that also closes the stream it reads from."""

    def __init__(self, below: IO[bytes]) -> None:
        self._below = below
        super().__init__(fileobj=below, mode="rb")

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._below.close()


class _Recoded(io.RawIOBase):
    """Converts a UTF-16 stream to UTF-8 without a byte order mark. Bad bytes become U+FFFD."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ready = b""
        self._ended = False
        self._skip_mark = True

    def readable(self) -> bool:
        return True

    def readinto(self, target: object) -> int:
        view = memoryview(target).cast("B")  # type: ignore[arg-type]
        while not self._ready and not self._ended:
            piece = self._stream.read(PIECE_BYTES)
            self._ended = not piece
            text = self._decoder.decode(piece, final=self._ended)
            if self._skip_mark and text:
                text, self._skip_mark = text.removeprefix("\ufeff"), False
            self._ready = text.encode("utf-8", "replace")
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()
