"""Identifies common files that are not trip files by their first bytes, for the error message."""

import codecs

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard"),
    (b"\x04\x22\x4d\x18", "compressed with LZ4"),
    (b"\x1f\x9d", "compressed with compress"),
    (b"\x1f\x8b", "gzipped more than twice"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)"),
    (b"PARE", "an encrypted Parquet file"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"ARROW1", "an Arrow file"),
    (b"FEA1", "a Feather file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x89HDF", "an HDF5 file"),
    (b"%PDF", "a PDF document"),
)

_TAR = (257, b"ustar")

_TEXT_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
)

_ACCEPTED = "provide it as Parquet, CSV or gzipped CSV"


def identify_file(start: bytes) -> str | None:
    """Identifies a file of a known kind that cannot be read, and says what to do.

    Args:
        start: its first bytes, after gzip: at least 1,024, or the whole file if it is shorter.

    Returns:
        The rest of a sentence that begins with the file's name; None for other files.
    """
    if b"html" in (opening := _opening(start)) and opening.startswith(b"<"):
        return _page("an HTML page")
    if opening.startswith(b"<"):
        return _page("an XML document")
    for mark, encoding in _TEXT_ENCODINGS:
        if start.startswith(mark):
            return f"is text in {encoding}: save it as UTF-8"
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            return _packed(start, kind)
    offset, mark = _TAR
    if start[offset : offset + len(mark)] == mark:
        return f"is a tar archive: unpack it, and {_ACCEPTED}"
    if (order := _utf_16_without_mark(start)) is not None:
        return f"is text in UTF-16 ({order}-endian) without a byte order mark: save it as UTF-8"
    return None


def _page(kind: str) -> str:
    return f"is {kind}, not a trip file: the address returned an error page or a sign-in page"


def _packed(start: bytes, kind: str) -> str:
    if kind == "a zip archive" and b"[Content_Types].xml" in start:
        kind = "an Excel workbook (.xlsx)"
    is_packed = kind.startswith(("compressed", "gzipped")) or kind.endswith("archive")
    advice = "unpack it, and " if is_packed else ""
    return f"is {kind}: {advice}{_ACCEPTED}"


def _opening(start: bytes) -> bytes:
    return start[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()


def _utf_16_without_mark(start: bytes) -> str | None:
    sample = start[:256]
    if len(sample) < 16:
        return None
    even, odd = sample[::2], sample[1::2]
    if odd.count(0) > len(odd) * 0.9 and not even.count(0):
        return "little"
    return "big" if even.count(0) > len(even) * 0.9 and not odd.count(0) else None
