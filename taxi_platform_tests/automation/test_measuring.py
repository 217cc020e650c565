"""A value that costs something is measured by one thread at a time, whoever waits for it."""

import threading
import time

import pytest

from taxi_platform.automation.measuring import Measuring


def test_what_measures_too_long_is_not_waited_for_and_not_begun_twice() -> None:
    begun: list[float] = []
    go_on = threading.Event()
    said: list[str] = []

    def measure() -> int:
        begun.append(time.monotonic())
        go_on.wait(30)
        return len(begun)

    measuring = Measuring("it", measure, said.append, kept_seconds=60)
    for _ in range(3):
        assert measuring.value(time.monotonic() + 0.05) is None
    assert said == ["it: no answer in time"]
    go_on.set()
    assert measuring.value(time.monotonic() + 10) == 1
    assert measuring.value(time.monotonic()) == 1
    assert len(begun) == 1


@pytest.mark.parametrize(("stale_seconds", "shown"), [(600, "value"), (0, None)])
def test_the_last_value_is_shown_while_the_next_is_measured_but_not_for_ever(
    stale_seconds: float, shown: str | None
) -> None:
    go_on = threading.Event()
    go_on.set()
    said: list[str] = []

    def measure() -> str:
        assert go_on.wait(30)
        return "value"

    measuring = Measuring("it", measure, said.append, kept_seconds=0, stale_seconds=stale_seconds)
    assert measuring.value(time.monotonic() + 10) == "value"
    go_on.clear()
    assert measuring.value(time.monotonic() + 0.05) == shown
    assert bool(said) == (shown is None)
    go_on.set()
    assert measuring.value(time.monotonic() + 10) == "value"


def test_a_failure_is_said_once_and_tried_again_sooner() -> None:
    said: list[str] = []
    tries = iter([ValueError("no route"), ValueError("no route"), None])

    def measure() -> str:
        if error := next(tries):
            raise error
        return "value"

    measuring = Measuring("it", measure, said.append, kept_seconds=60, again_seconds=0)
    assert measuring.value(time.monotonic() + 10) is None
    assert measuring.value(time.monotonic() + 10) is None
    assert said == ["it: no route"]
    assert measuring.value(time.monotonic() + 10) == "value"
    assert measuring.value(time.monotonic() + 10) == "value"  # a fourth measurement would fail
