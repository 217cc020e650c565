"""What there is to say of a file that was read all the same: counted by rows, told in sentences.

A note is counted for every row that it is true of, so that the counts do not depend on how the rows
were batched. What is refused or rejected is not noted but said where that happens.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class About(StrEnum):
    """What a note is about."""

    UTC_AS_WALL_TIME = "utc as wall time"
    UTC_CONVERTED = "utc converted"
    INT96_AS_WALL_TIME = "int96 as wall time"
    INT96_CONVERTED = "int96 converted"
    SPELLING = "spelling"
    UNKNOWN_TEXT = "unknown text"
    SHORT_FLOAT = "short float"
    UNNAMED_FIELD = "unnamed field"


_SENTENCES = {
    About.UTC_AS_WALL_TIME: (
        "{subject}: {count} times are labelled UTC and were taken as New York wall time, which is "
        "often labelled so; if they are UTC, set utc_times to convert (the first: {example})"
    ),
    About.UTC_CONVERTED: (
        "{subject}: {count} times labelled UTC were converted to New York time; if they are wall "
        "time under a wrong label, set utc_times to wall_time (the first: {example})"
    ),
    About.INT96_AS_WALL_TIME: (
        "{subject}: {count} times are INT96, which names no zone, and were taken as New York wall "
        "time; Spark writes UTC so: if it did, set utc_times to convert (the first: {example})"
    ),
    About.INT96_CONVERTED: (
        "{subject}: {count} times are INT96, which names no zone, and were converted from UTC to "
        "New York time; if they are wall time, set utc_times to wall_time (the first: {example})"
    ),
    About.SPELLING: "{subject}: values spelled otherwise: {count}, the first {example}",
    About.UNKNOWN_TEXT: "{subject}: values that are not known: {count}, the first {example}",
    About.SHORT_FLOAT: (
        "{subject}: {count} values are 32-bit floats, which hold some 7 digits; each was taken as "
        "the shortest decimal that it stands for (the first: {example})"
    ),
    About.UNNAMED_FIELD: (
        "{subject} has no name in the header and was not read: {count} rows have something in it, "
        "the first {example}"
    ),
}

LONGEST_EXAMPLE = 60
"""Characters of an example; a field may be of any length."""


@dataclass
class _Noted:
    count: int
    example: str


@dataclass
class Notes:
    """Notes of some rows, each with its count and its first example."""

    found: dict[tuple[About, str], _Noted] = field(default_factory=dict)

    def add(self, about: About, subject: str, count: int, example: str) -> None:
        """Counts rows of which something is true.

        Args:
            about: what is.
            subject: the column, or the field.
            count: how many rows; none is no note.
            example: of the first of them, in any characters.
        """
        if not count:
            return
        noted = self.found.setdefault((about, subject), _Noted(0, shown(example)))
        noted.count += count

    def update(self, later: "Notes") -> None:
        """Takes in the notes of rows that stand below these in the file."""
        for (about, subject), noted in later.found.items():
            self.add(about, subject, noted.count, noted.example)

    def subjects(self, about: About) -> frozenset[str]:
        """The columns, or fields, that something was noted of."""
        return frozenset(subject for noted, subject in self.found if noted == about)

    def sentences(self) -> list[str]:
        """What there is to say, in a fixed order."""
        return [
            _SENTENCES[about].format(
                subject=subject, count=f"{noted.count:,}", example=noted.example
            )
            for (about, subject), noted in sorted(self.found.items())
        ]


def shown(text: str) -> str:
    """A text for a message: printable, on one line, and not too long."""
    cut = text if len(text) <= LONGEST_EXAMPLE else f"{text[:LONGEST_EXAMPLE]}…"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)


def listed(names: Iterable[str], most: int = 10) -> str:
    """Names for a message: the first few, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(shown(name) or "(no name)" for name in every[:most]) + more
