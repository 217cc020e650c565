"""Identifies common files that are not trip files by their first bytes, for the error message."""

import codecs

from taxi_platform.trips.notes import shown

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"PK\x07\x08", "a split zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"MSCF", "a cabinet archive"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"\x5d\x00\x00", "compressed with lzma"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard"),
    (b"\x04\x22\x4d\x18", "compressed with LZ4"),
    (b"\xff\x06\x00\x00sNaPpY", "compressed with Snappy"),
    (b"\x89LZO", "compressed with lzop"),
    (b"\x78\x01", "compressed with zlib"),
    (b"\x78\x9c", "compressed with zlib"),
    (b"\x78\xda", "compressed with zlib"),
    (b"\x1f\x9d", "compressed with compress"),
    (b"\x1f\x8b", "gzipped more than twice"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)"),
    (b"PARE", "an encrypted Parquet file"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"ARROW1", "an Arrow file"),
    (b"\xff\xff\xff\xff", "an Arrow stream"),
    (b"FEA1", "a Feather file"),
    (b"\x93NUMPY", "a NumPy array"),
    *((b"\x80" + bytes([protocol]), "a Python pickle") for protocol in range(2, 6)),
    *((b"RD" + start, "an R data file") for start in (b"X2\n", b"X3\n", b"A2\n", b"A3\n")),
    (b"X\n\x00\x00\x00", "an R data file"),
    (b"<stata_dta>", "a Stata file"),
    (b"$FL2", "an SPSS file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"PGDMP", "a dump of a Postgres database"),
    (b"PGCOPY\n", "a binary copy of a Postgres table"),
    (b"\x89HDF", "an HDF5 file"),
    (b"%PDF", "a PDF document"),
    (b"{\\rtf", "a text of a word processor (RTF)"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"\x7fELF", "a program"),
)

_AT_OFFSETS: tuple[tuple[int, bytes, str], ...] = (
    (257, b"ustar", "a tar archive"),
    (8, b"DUCK", "a DuckDB database"),
    (4, b"Standard Jet DB", "an Access database"),
    (4, b"Standard ACE DB", "an Access database"),
)

_GIT_LFS = b"version https://git-lfs.github.com/spec/"

_SQL = (b"insert into ", b"create table ", b"copy ", b"begin;", b"set ", b"--", b"/*!")
"""How a file of SQL statements begins, in lower case."""

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
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            return _packed(start, kind)
    for offset, mark, kind in _AT_OFFSETS:
        if start[offset : offset + len(mark)] == mark:
            return _packed(start, kind)
    return _encoding(start) or _text_format(_opening(start))


def _encoding(start: bytes) -> str | None:
    for mark, encoding in _TEXT_ENCODINGS:
        if start.startswith(mark):
            return f"is text in {encoding}: save it as UTF-8"
    if found := _wide_text(start):
        return f"is text in {found} without a byte order mark: save it as UTF-8"
    return None


def _text_format(opening: bytes) -> str | None:
    if opening.startswith(b"<"):
        return _page("an HTML page" if b"html" in opening else "an XML document")
    if opening.startswith((b"{", b"[")):
        return f"is JSON: {_ACCEPTED}; if it is an answer of a server, it begins {_said(opening)}"
    if opening.startswith(_GIT_LFS):
        return (
            "is a pointer of Git LFS, not the file itself: fetch the file (git lfs pull), or use "
            "the address of its content"
        )
    if opening.startswith(_SQL):
        return f"is a file of SQL statements: {_ACCEPTED}"
    return None


def _said(opening: bytes) -> str:
    return repr(shown(opening.decode("utf-8", "replace")))


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


def _wide_text(start: bytes) -> str | None:
    """The encoding of text whose characters take two or four bytes; None for other files."""
    sample = start[:256]
    if len(sample) < 16:
        return None
    # Where ASCII has its zeros, and where it has its letters.
    for width, encoding in ((4, "UTF-32"), (2, "UTF-16")):
        for order, letters in (("little", 0), ("big", width - 1)):
            places = [sample[at::width] for at in range(width)]
            others = b"".join(places[:letters] + places[letters + 1 :])
            if others.count(0) > len(others) * 0.9 and not places[letters].count(0):
                return f"{encoding} ({order}-endian)"
    return None
