"""One page of a list of objects, in which names below a delimiter are put together."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gcs_emulator.errors import invalid
from gcs_emulator.storage.records import ObjectRecord

_ITEM, _PREFIX = "i", "p"
_LARGEST_PAGE = 1000


@dataclass(frozen=True)
class Selection:
    """Which names are listed.

    Attributes:
        prefix: they begin with it.
        delimiter: names that have it after the prefix are put together up to it; empty: none is.
        start: the first name.
        end: the first name that is not listed any more; empty: there is none.
    """

    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    end: str = ""

    def entry(self, name: str) -> str | None:
        """The common prefix that stands for a name; None if it stands for itself."""
        if not self.delimiter:
            return None
        found = name.find(self.delimiter, len(self.prefix))
        return None if found < 0 else name[: found + len(self.delimiter)]


@dataclass
class Page:
    """One page: objects and common prefixes, and the token of the next page, if there is one."""

    items: list[ObjectRecord] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    next_token: str | None = None


def first_name(selection: Selection, token: str | None) -> str:
    """The name at which a page begins, at the earliest."""
    after = _parsed(token)[1] if token else ""
    return max(selection.prefix, selection.start, after, key=str.encode)


def page_of(
    records: Iterable[ObjectRecord], selection: Selection, token: str | None, most: int | None
) -> Page:
    """One page of the objects, which are in the order of their names.

    Raises:
        ApiError: the token is not one of a page.
    """
    most = min(most or _LARGEST_PAGE, _LARGEST_PAGE)
    page, last = Page(), token
    for record in _remaining(records, selection, token):
        prefix = selection.entry(record.name)
        if prefix is not None and page.prefixes[-1:] == [prefix]:
            continue
        if len(page.items) + len(page.prefixes) == most:
            page.next_token = last
            break
        if prefix is None:
            page.items.append(record)
            last = _token(_ITEM, record.name)
        else:
            page.prefixes.append(prefix)
            last = _token(_PREFIX, prefix)
    return page


def _remaining(
    records: Iterable[ObjectRecord], selection: Selection, token: str | None
) -> Iterator[ObjectRecord]:
    kind, after = _parsed(token) if token else (_ITEM, None)
    for record in records:
        name = record.name
        if not name.startswith(selection.prefix):
            return
        if selection.end and name.encode() >= selection.end.encode():
            return
        was_before = name == after if kind == _ITEM else selection.entry(name) == after
        if not was_before:
            yield record


def _token(kind: str, name: str) -> str:
    return base64.urlsafe_b64encode(f"{kind}{name}".encode()).decode()


def _parsed(token: str) -> tuple[str, str]:
    try:
        text = base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid(f"Invalid value for pageToken: {token!r}") from error
    if text[:1] not in (_ITEM, _PREFIX):
        raise invalid(f"Invalid value for pageToken: {token!r}")
    return text[:1], text[1:]
