"""Collects warnings about values that were accepted, and formats them as sentences.

Each note counts the rows it applies to, so the counts do not depend on the block size. Errors that
refuse a file or reject a row are not noted here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class About(StrEnum):
    """Kinds of notes."""

    UTC_AS_WALL_TIME = "utc as wall time"
    UTC_CONVERTED = "utc converted"
    INT96_AS_WALL_TIME = "int96 as wall time"
    INT96_CONVERTED = "int96 converted"
    SPELLING = "spelling"
    UNKNOWN_TEXT = "unknown text"
    SHORT_FLOAT = "short float"
    UNNAMED_FIELD = "unnamed field"
    NO_MINUTES = "no minutes"


_SENTENCES = {
    About.UTC_AS_WALL_TIME: (
        "{subject}: {count} times are labeled UTC and were read as New York wall time, because "
        "wall time is often labeled UTC; if they are UTC, set utc_times to convert (the first: "
        "{example})"
    ),
    About.UTC_CONVERTED: (
        "{subject}: {count} times labeled UTC were converted to New York time; if they are wall "
        "time with a wrong label, set utc_times to wall_time (the first: {example})"
    ),
    About.INT96_AS_WALL_TIME: (
        "{subject}: {count} times are INT96, which has no zone, and were read as New York wall "
        "time; Spark writes UTC as INT96: if Spark wrote the file, set utc_times to convert (the "
        "first: {example})"
    ),
    About.INT96_CONVERTED: (
        "{subject}: {count} times are INT96, which has no zone, and were converted from UTC to "
        "New York time; if they are wall time, set utc_times to wall_time (the first: {example})"
    ),
    About.SPELLING: "{subject}: {count} values in another spelling, the first {example}",
    About.UNKNOWN_TEXT: "{subject}: {count} unknown values, the first {example}",
    About.SHORT_FLOAT: (
        "{subject}: {count} values are 32-bit floats, which have about 7 digits; each was read as "
        "its shortest decimal representation (the first: {example})"
    ),
    About.UNNAMED_FIELD: (
        "{subject} has no name in the header and was not read: {count} rows have a value in it, "
        "the first {example}"
    ),
    About.NO_MINUTES: (
        "{subject}: {count} values have no minutes and were read as the start of their day or hour "
        "(the first: {example})"
    ),
}

LONGEST_EXAMPLE = 60
"""Maximum characters of an example in a message."""


@dataclass
class _Note:
    count: int
    example: str


@dataclass
class Notes:
    """Notes about some rows: for each kind and column, a count and the first example."""

    found: dict[tuple[About, str], _Note] = field(default_factory=dict)

    def add(self, about: About, subject: str, count: int, example: str) -> None:
        """Counts rows that a note applies to.

        Args:
            about: the kind of note.
            subject: the column or field.
            count: number of rows; nothing is noted if 0.
            example: value in the first of these rows; may contain any characters.
        """
        if not count:
            return
        noted = self.found.setdefault((about, subject), _Note(0, shown(example)))
        noted.count += count

    def update(self, later: "Notes") -> None:
        """Adds the notes of rows that follow these in the file."""
        for (about, subject), noted in later.found.items():
            self.add(about, subject, noted.count, noted.example)

    def counts(self, about: About) -> dict[str, int]:
        """For each column or field that has notes of a kind, the number of rows they apply to."""
        return {
            subject: note.count for (kind, subject), note in self.found.items() if kind == about
        }

    def sentences(self, *kinds: About) -> list[str]:
        """The notes as sentences, in a fixed order; only those of some kinds, if any are given."""
        return [
            _SENTENCES[about].format(
                subject=subject, count=f"{noted.count:,}", example=noted.example
            )
            for (about, subject), noted in sorted(self.found.items())
            if about in (kinds or About)
        ]


def shown(text: str) -> str:
    """A text shortened for a message, on one line, with unprintable characters replaced."""
    cut = text if len(text) <= LONGEST_EXAMPLE else f"{text[:LONGEST_EXAMPLE]}…"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)


def listed(names: Iterable[str], most: int = 10) -> str:
    """The first few names for a message, and the number of the others."""
    every = list(names)
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(shown(name) or "(no name)" for name in every[:most]) + more
