"""The reader of docs/first-hour.md: its commands, and what the platform has then."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dagster import DagsterInstance
from dotenv import dotenv_values

from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.automation.unattended import UnattendedPlatform, with_environment
from taxi_platform_tests.conftest import PROJECT, EmbeddedStack
from taxi_platform_tests.reader import OWN_FILES, Reader, blocks_of, reading

DOCUMENT = (PROJECT / "docs/first-hour.md").read_text()
MONTH = TripMonth.from_key("green|2024-01")
FAILED = TripMonth.from_key("green|2024-02")

ROWS = 6_000
"""Of each published month."""


class Hour:
    """The commands of the document, typed section by section.

    Attributes:
        reader: who types them.
        said: what each command said, the last time that it was typed.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.said: dict[str, str] = {}
        sections = re.split(r"(?m)^## \d+\. .*\n", DOCUMENT)[1:]
        self.left = [[c for block in blocks_of(text) for c in block] for text in sections]

    def type(self, section: int, first: str = "", last: str = "", code: int = 0) -> str:
        """Types what is left of a section, to a command that begins with these words.

        Args:
            section: its number.
            first: what the first command must begin with.
            last: what the last command begins with; by default all of the section is typed.
            code: how the last of them ends.
        """
        left = self.left[section - 1]
        assert left, f"section {section} has no more commands"
        assert left[0].startswith(first), left
        while left:
            command = left.pop(0)
            is_last = not left or (last and command.startswith(last))
            if command == "make dev":
                self.reader.serve(command)
            else:
                self.said[command] = self.reader.run(command, code if is_last else 0)
            if is_last:
                break
        return self.said.get(command, "")

    @contextmanager
    def platform(self) -> Iterator[UnattendedPlatform]:
        """What the reader has started, as the tests of the daemon look at it."""
        folder = self.reader.folder
        values = {k: v for k, v in dotenv_values(folder / ".env").items() if v}
        environment = values | {"TAXI_POSTGRES_SCHEMA": "trips"}
        with with_environment(environment):
            instance = DagsterInstance.from_config(values["DAGSTER_HOME"])
        with instance:
            stack = EmbeddedStack(folder, environment)
            yield UnattendedPlatform(stack, folder, dict(os.environ) | environment, instance, 0)


@contextmanager
def first_hour(folder: Path) -> Iterator[Hour]:
    """The reader, with two months in a folder where the document supposes the TLC's site."""
    source = f"file://{OWN_FILES}/{{color}}_tripdata_{{month}}.parquet"
    with reading(folder, source) as reader:
        for month in (MONTH, FAILED):
            write_synthetic_month(month, folder / f"own/{month.stem}.parquet", ROWS)
        yield Hour(reader)


def own_asset() -> tuple[str, str]:
    """The file and the text of the asset that the document shows."""
    found = re.search(r"Put this into `(\S+)`:\n\n```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found
    return found[1], found[2]
