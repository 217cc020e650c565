"""Texts that leave the process, made safe: without the secrets of the settings, and printable."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from taxi_platform.errors import SettingsError
from taxi_platform.printable import printable
from taxi_platform.redaction import redact
from taxi_platform.settings import load_settings


class RedactedError(Exception):
    """Stands in for an error whose text contains a secret; says its type and the rest."""


def known_secrets() -> list[str]:
    """Every secret of the environment's settings."""
    try:
        return load_settings().secrets()
    except SettingsError:
        return []  # no code location and no command runs with such settings


def safe_text(text: object) -> str:
    """A text without secrets that every log, terminal and database accepts."""
    return printable(redact(str(text), known_secrets()))


def safe_line(text: object) -> str:
    """The same in one line."""
    return " ".join(safe_text(text).split())


def safe_error(error: BaseException) -> BaseException:
    """An error and its causes, with a stand-in for each whose text contains a secret.

    Logs show not only an error, but also what caused it.
    """
    return _safe(error, known_secrets())


@contextmanager
def safe_errors() -> Iterator[None]:
    """Raises each error of the block without the secrets of the settings."""
    try:
        yield
    except Exception as error:
        safe = safe_error(error)
        if safe is error:
            raise
        raise safe from safe.__cause__


def _safe(error: BaseException, secrets: Sequence[str]) -> BaseException:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    safe_before = None if before is None else _safe(before, secrets)
    said = "".join(traceback.format_exception_only(error)).strip()
    if safe_before is before and redact(said, secrets) == said:
        return error
    stand_in = RedactedError(redact(said, secrets)).with_traceback(error.__traceback__)
    stand_in.__cause__ = safe_before
    return stand_in
