"""The simulation of docs/scale.md: what must hold whatever the months cost."""

import subprocess
import sys

import pytest

from benchmarks.simulation import Stage, simulate
from taxi_platform_tests.conftest import PROJECT

ALONE = Stage("alone", 3.0)
SHARED = Stage("shared", 2.0, "database")
PLENTY = {"database": 1000.0}


def test_one_worker_takes_the_sum_of_all_stages() -> None:
    """The sizes of a thousand months average 1."""
    outcome = simulate([ALONE, SHARED], PLENTY, workers=1, months=1000)
    assert outcome.seconds == pytest.approx(1000 * (3 + 2), rel=0.01)
    assert outcome.busy["database"] * 1000 == pytest.approx(2 / (3 + 2), rel=0.01)


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_workers_that_share_nothing_scarce_are_as_much_faster_as_they_are_more(
    workers: int,
) -> None:
    outcome = simulate([ALONE, SHARED], PLENTY, workers, months=1000)
    assert outcome.seconds == pytest.approx(5000 / workers, rel=0.02)


@pytest.mark.parametrize("cores", [1, 2])
def test_what_is_shared_is_the_limit_and_is_never_used_beyond_its_capacity(cores: int) -> None:
    outcome = simulate([ALONE, SHARED], {"database": cores}, workers=64, months=1000)
    assert outcome.seconds == pytest.approx(1000 * 2 / cores, rel=0.05)
    assert 0.95 < outcome.busy["database"] <= 1


def test_what_uses_several_units_is_slowed_by_as_much() -> None:
    greedy = Stage("greedy", 2.0, "network", share=10)
    outcome = simulate([greedy], {"network": 20}, workers=4, months=1000)
    assert outcome.seconds == pytest.approx(1000 * 2 * 10 / 20, rel=0.01)


def test_the_documentation_shows_what_the_command_prints() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.simulation"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout in (PROJECT / "docs" / "scale.md").read_text()
