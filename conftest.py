"""What holds for the tests of all packages."""

import os
from collections.abc import Iterator

import pytest


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
