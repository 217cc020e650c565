"""What holds for the tests of all packages."""

import os
from collections.abc import Iterator

import pytest

SLOW = ("browser", "daemon", "faults", "hosts")
"""Marks of files that take a minute or more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs long files first, so that no worker waits for another one at the end."""
    length: dict[str, tuple[float, bool]] = {}
    for item in items:
        limit = item.get_closest_marker("timeout")
        seconds = float(limit.args[0]) if limit else 0.0
        slow = any(item.get_closest_marker(mark) for mark in SLOW)
        file = str(item.path)
        length[file] = max(length.get(file, (0.0, False)), (seconds, slow))
    items.sort(key=lambda item: length[str(item.path)], reverse=True)


@pytest.fixture(autouse=True, scope="module")
def unchanged_environment() -> Iterator[None]:
    """Fails a module whose tests leave variables behind: later tests would use its servers."""
    before = dict(os.environ)
    yield
    changed = {
        name
        for name, _ in before.items() ^ os.environ.items()
        if not name.startswith(("PYTEST_", "COV_", "_RJEM_"))  # polars sets the last
    }
    os.environ.clear()
    os.environ.update(before)
    assert not changed, f"left changed by this module: {', '.join(sorted(changed))}"
