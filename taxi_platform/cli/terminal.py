"""How the commands write: text from elsewhere is data, on terminals of every encoding."""

import io
import sys

import typer
from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """A console that takes nothing in a text for markup, such as ``[green]`` or ``:taxi:``."""
    return Console(markup=False, emoji=False, highlight=False, stderr=stderr)


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
    print(text, file=sys.stderr if err else sys.stdout)


def say_error(message: str) -> None:
    """Writes an error, without secrets."""
    from taxi_platform.safe_texts import safe_text

    say(f"Error: {safe_text(message)}", err=True)


def fail(message: str) -> typer.Exit:
    """Writes an error, without secrets; returns what ends the command, to be raised."""
    say_error(message)
    return typer.Exit(1)
