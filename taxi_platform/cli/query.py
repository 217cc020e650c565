"""`taxi-platform query`: asks a table store, for people and for programs.

Programs get all rows, and memory stays flat: no more than a batch of rows is held.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taxi_platform.cli.output_files import output_file, wrong_ending
from taxi_platform.cli.terminal import console, fail, leave_characters_alone, say
from taxi_platform.errors import SettingsError, StoreError
from taxi_platform.printable import printable

if TYPE_CHECKING:
    from taxi_platform.settings import Settings
    from taxi_platform.stores.base import TableStore

TABLE_ROWS = 50
"""How many rows a table shows, unless it is told."""


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def query(
    statement: Annotated[str, typer.Argument(help="One SQL statement that only reads.")],
    store: Annotated[
        str, typer.Option(help="Which store of TAXI_STORES; by default postgres, or the first.")
    ] = "",
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="How to write the answer. By default a table on a terminal, CSV elsewhere; with "
            "--output, what the file's name ends in.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write CSV, JSON or Parquet to; it appears when complete."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"At most so many rows. By default a table shows {TABLE_ROWS}; CSV, JSON and "
            "Parquet have all.",
        ),
    ] = None,
) -> None:
    """Query a table store that is configured in the environment, and write the answer.

    Rows that are too wide for the terminal are shown with one column a line. In CSV, null is empty
    and the empty text is ""; JSON is an array with one object a line. CSV, JSON and Parquet are
    written as the rows arrive, so any number of them takes little memory. A Postgres numeric
    without declared digits is a double in Parquet.
    """
    from taxi_platform.settings import load_settings

    try:
        chosen = load_settings()
        form = _format(form, output)
        with chosen.open_store(_store_name(chosen, store)) as opened:
            if form is Format.TABLE:
                _show(opened, statement, limit or TABLE_ROWS)
            elif output is None:
                _print(opened, statement, limit, form)
            else:
                _save(opened, statement, limit, form, output)
    except BrokenPipeError:
        raise  # the reader has seen enough, as `head` has
    except OSError as error:
        raise fail(f"{output or 'standard output'}: {error.strerror or error}") from error
    except (SettingsError, StoreError, ValueError) as error:
        raise fail(str(error)) from error


def _store_name(chosen: "Settings", name: str) -> str:
    names = [known.name for known in chosen.table_stores]
    if not names:
        raise ValueError("no store of TAXI_STORES can be asked: gcs has no tables")
    name = name or ("postgres" if "postgres" in names else names[0])
    if name not in names:
        raise ValueError(f"--store is {name!r}: one of {', '.join(names)} (TAXI_STORES)")
    return name


def _format(form: Format | None, output: Path | None) -> Format:
    """The format to write.

    Raises:
        ValueError: it cannot be written there.
    """
    if output is None:
        if form is Format.PARQUET:
            raise ValueError("--format parquet needs --output FILE: Parquet is no text")
        return form or (Format.TABLE if sys.stdout.isatty() else Format.CSV)
    if form is Format.TABLE:
        raise ValueError("--output takes no table: give --format csv, json or parquet")
    if form is not None:
        return form
    ending = output.suffix.removeprefix(".").lower()
    if ending not in {Format.CSV, Format.JSON, Format.PARQUET}:
        raise wrong_ending(output, ".csv, .json or .parquet, or give --format")
    return Format(ending)


def _show(store: "TableStore", statement: str, limit: int) -> None:
    from taxi_platform.cli.answer_table import show_answer
    from taxi_platform.stores.answers import first_rows

    found = first_rows(store, statement, limit)
    show_answer(console(), found.schema, found.rows)
    if found.more:
        say(f"the first {limit} rows; --limit shows more, --format csv all")


def _print(store: "TableStore", statement: str, limit: int | None, form: Format) -> None:
    from taxi_platform.cli.answer_files import write_csv, write_json

    write = write_csv if form is Format.CSV else write_json
    with store.query(statement, limit) as answer:
        if sys.stdout.isatty():
            write(answer, lambda text: sys.stdout.write(printable(text)))
        else:
            leave_characters_alone()
            write(answer, sys.stdout.write)


def _save(
    store: "TableStore", statement: str, limit: int | None, form: Format, output: Path
) -> None:
    from taxi_platform.cli.answer_files import write_csv, write_json, write_parquet
    from taxi_platform.landing.atomic_files import atomic_paths

    target = output_file(output)
    with store.query(statement, limit) as answer, atomic_paths(target) as (partial,):
        if form is Format.PARQUET:
            rows = write_parquet(answer, partial)
        else:
            write = write_csv if form is Format.CSV else write_json
            with partial.open("w", encoding="utf-8", newline="") as written:
                rows = write(answer, written.write)
    say(printable(f"{rows:,} row{'' if rows == 1 else 's'} written to {output}"))
