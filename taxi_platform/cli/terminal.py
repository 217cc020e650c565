"""How the commands write: text from elsewhere is data, on terminals of every encoding."""

import io
import os
import re
import sys
from typing import Literal

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_COMMAND = r"(?:\.venv/bin/)?taxi-platform [a-z]+(?: --?[a-z-]+(?: [\w-]+)?)*"
_PART = re.compile(rf" *(?:{_COMMAND}[^\s\w]*|\S+)")
"""A word, or a command with what stands behind it; and the blanks before."""


def console(*, stderr: bool = False) -> Console:
    """A console that takes nothing in a text for markup, such as ``[green]`` or ``:taxi:``.

    With NO_COLOR it writes no style either: rich would still write bold.
    """
    colors: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(markup=False, emoji=False, highlight=False, stderr=stderr, color_system=colors)


def print_folded(output: Console, text: str, style: str = "", hanging: int = 2) -> None:
    """Prints a line, on a terminal in several if it is too long.

    A command stays whole, so that it can be copied, or ends its lines as a shell wants. A word that
    is longer than a line, such as a path, is left to the terminal, which copies it whole too. What
    is no terminal, such as a file or `grep`, gets one line.

    Args:
        output: where to.
        text: what; a line end in it begins another line.
        style: of its first word.
        hanging: how far the lines after the first are indented.
    """
    for line in text.split("\n"):
        folded = _folded(line, output.width, hanging) if output.is_terminal else line
        shown = Text(folded)
        if style:
            shown.stylize(style, 0, len(text.split(maxsplit=1)[0]))
        output.print(shown, soft_wrap=True)


def _folded(line: str, width: int, hanging: int) -> str:
    if cell_len(line) <= width:
        return line
    behind = " " * (len(line) - len(line.lstrip(" ")) + hanging)
    lines = [""]
    for part in _PART.findall(line):
        if lines[-1] and cell_len(lines[-1] + part) > width:
            lines.append(behind + part.lstrip(" "))
        else:
            lines[-1] += part
        if " --" in part and cell_len(lines[-1]) > width:
            lines[-1:] = _folded_command(lines[-1], width)
    return "\n".join(lines)


def _folded_command(line: str, width: int) -> list[str]:
    """The lines of a command, each but the last with the backslash that continues it."""
    indent = " " * (len(line) - len(line.lstrip(" ")) + 2)
    first, *options = re.split(r" (?=--)", line)
    lines = [first]
    for option in options:
        if cell_len(f"{lines[-1]} {option} \\") > width:
            lines[-1] += " \\"
            lines.append(indent + option)
        else:
            lines[-1] += f" {option}"
    return lines


def accept_all_characters() -> None:
    """Makes the output escape what its encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def leave_characters_alone() -> None:
    """Makes the output UTF-8 without escapes and with its own line ends, for programs to read."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="strict", newline="")


def say(text: str, *, err: bool = False) -> None:
    """Writes a text and a line end, in the stream's own encoding."""
    # Not click's echo, which writes UTF-8 where the encoding is ASCII.
    # At once, also into a pipe: who waits for a line of a server would wait until it ends.
    print(text, file=sys.stderr if err else sys.stdout, flush=True)


def say_error(message: str) -> None:
    """Writes an error, without secrets."""
    from taxi_platform.safe_texts import safe_text

    print_folded(console(stderr=True), f"Error: {safe_text(message)}")


def fail(message: str) -> typer.Exit:
    """Writes an error, without secrets; returns what ends the command, to be raised."""
    say_error(message)
    return typer.Exit(1)
