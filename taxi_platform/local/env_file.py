"""The stack's own block of lines in a project's `.env`.

Everything outside the block belongs to the user and stays as it is, byte for byte. The block
notes in itself what has to be undone when it goes: a file that was made for it, a line end that
was added before it. So nothing else has to remember.
"""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.local.errors import LocalStackError
from taxi_platform.local.state import write_atomically

BEGIN = b"# >>> taxi-platform local stack >>>"
END = b"# <<< taxi-platform local stack <<<"
_MADE_FILE = b"# This file was made for this block and goes with it."
_ADDED_NEWLINE = b"# The line above had no line end."
_HINT = b"# Written by `taxi-platform local up`, removed by `taxi-platform local down`."
_NOTES = {_MADE_FILE, _ADDED_NEWLINE}

_ASSIGNMENT = re.compile(rb"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")
_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")


@dataclass(frozen=True)
class Written:
    """What is worth knowing of a file after its block was written.

    Attributes:
        set_elsewhere: The variables that the user's own lines also set.
        earlier_mode: The mode with which others could read it; None if they could not.
    """

    set_elsewhere: list[str]
    earlier_mode: int | None


def write_block(path: Path, variables: Mapping[str, str]) -> Written:
    """Writes the block into the file, in place of an earlier one or at the end.

    Args:
        path: The file; the block contains a password, so only its owner can read it afterwards.
        variables: The variables of the block.
    """
    path = path.resolve()
    content = path.read_bytes() if path.exists() else None
    earlier_mode = _close_to_others(path) if content is not None else None
    before, after, notes = _around_block(content or b"", variables)
    newline = b"\r\n" if b"\r\n" in before + after else b"\n"
    if content is None:
        notes.add(_MADE_FILE)
    if before and not before.endswith((b"\n", b"\r")):
        before += newline
        notes.add(_ADDED_NEWLINE)
    lines = [BEGIN, _HINT, *sorted(notes)]
    lines += [f"{name}={quoted(value)}".encode() for name, value in variables.items()]
    lines.append(END)
    _replace(path, content, before + b"".join(line + newline for line in lines) + after)
    return Written(_set_in(before + after, variables), earlier_mode)


def remove_block(path: Path, names: Iterable[str]) -> bool:
    """Removes the block, and the file if it was created for the block and is empty now.

    Args:
        path: The file.
        names: The variables a block may set. A block of which one mark is lost ends at the
            first line that sets anything else.

    Returns:
        Whether there was a block.
    """
    path = path.resolve()
    if not path.exists():
        return False
    content = path.read_bytes()
    before, after, notes = _around_block(content, names)
    if _ADDED_NEWLINE in notes and not after:
        before = before.removesuffix(b"\n").removesuffix(b"\r")
    rest = before + after
    if rest == content:
        return False
    if not rest and _MADE_FILE in notes:
        path.unlink()
    else:
        _replace(path, content, rest)
    return True


def quoted(value: str) -> str:
    """A value, quoted such that python-dotenv reads it back unchanged."""
    # python-dotenv expands ${NAME} between single quotes too. A nameless variable that
    # defaults to the dollar sign is the one way to write `${`.
    literal = value.replace("${", "${:-$}{")
    if _NEEDS_NO_QUOTES.fullmatch(literal):
        return literal
    escaped = literal.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _around_block(content: bytes, names: Iterable[str]) -> tuple[bytes, bytes, set[bytes]]:
    """The user's bytes before and after the first block, and the notes of all blocks."""
    known = {name.encode() for name in names}
    lines = content.splitlines(keepends=True)
    bodies = [line.strip() for line in lines]
    ours = set[int]()
    index = 0
    while index < len(lines):
        if bodies[index] == BEGIN:
            span = range(index, _end_of_block(bodies, index, known))
        elif bodies[index] == END:
            span = range(_start_of_headless_block(bodies, index, known), index + 1)
        else:
            index += 1
            continue
        ours.update(span)
        index = span.stop
    first = min(ours, default=len(lines))
    before = b"".join(lines[:first])
    after = b"".join(line for i, line in enumerate(lines) if i > first and i not in ours)
    return before, after, {bodies[i] for i in ours} & _NOTES


def _end_of_block(bodies: list[bytes], begin: int, known: set[bytes]) -> int:
    """The index after a block's last line; without an end mark, after the last that is ours."""
    for index in range(begin + 1, len(bodies)):
        if bodies[index] == END:
            return index + 1
        if bodies[index] == BEGIN:
            break
    index = begin + 1
    while index < len(bodies) and _is_ours(bodies[index], known):
        index += 1
    return index


def _start_of_headless_block(bodies: list[bytes], end: int, known: set[bytes]) -> int:
    index = end
    while index > 0 and _is_ours(bodies[index - 1], known):
        index -= 1
    return index


def _is_ours(body: bytes, known: set[bytes]) -> bool:
    assignment = _ASSIGNMENT.match(body)
    return body == _HINT or body in _NOTES or (assignment is not None and assignment[1] in known)


def _set_in(content: bytes, variables: Mapping[str, str]) -> list[str]:
    matches = map(_ASSIGNMENT.match, content.splitlines())
    names = {match[1].decode() for match in matches if match}
    return [name for name in variables if name in names]


def _close_to_others(path: Path) -> int | None:
    """Takes all rights from group and others; returns the mode if they could read the file."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o077:
        return None
    try:
        path.chmod(mode & ~0o077)
    except PermissionError as error:
        raise LocalStackError(
            f"{path} belongs to another user and can be read by others (mode {mode:o}). A password "
            "is to be written into it: let its owner run 'chmod 600' on it, or move it away."
        ) from error
    return mode if mode & 0o044 else None


def _replace(path: Path, old: bytes | None, new: bytes) -> None:
    if new == old:
        return
    if old is None:
        write_atomically(path, new, mode=0o600)
        return
    status = path.stat()
    write_atomically(path, new, mode=stat.S_IMODE(status.st_mode))
    # Root must not take a user's file away from them.
    with suppress(PermissionError):
        os.chown(path, status.st_uid, status.st_gid)
