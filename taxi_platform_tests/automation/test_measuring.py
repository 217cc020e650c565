"""A value that costs something is measured by one thread at a time, whoever waits for it."""

import threading
import time

import pytest

from taxi_platform.automation.measuring import MOST_REASONS, Complaint, Measuring, Reading


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
        assert measuring.value(time.monotonic() + 0.05).value is None
    assert said == ["it: no answer in time"]
    go_on.set()
    assert measuring.value(time.monotonic() + 10).value == 1
    assert measuring.value(time.monotonic()).value == 1
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
    assert measuring.value(time.monotonic() + 10).value == "value"
    go_on.clear()
    assert measuring.value(time.monotonic() + 0.05) == Reading(shown, is_current=False)
    assert bool(said) == (shown is None)
    go_on.set()
    assert measuring.value(time.monotonic() + 10) == Reading("value", is_current=True)


def test_reasons_that_alternate_are_each_said_once_until_it_is_measured() -> None:
    said: list[str] = []
    go_on = threading.Event()
    works = False

    def measure() -> str:
        assert go_on.wait(30)
        if works:
            return "value"
        raise ValueError("no route")

    def ask(expected: str | None) -> None:
        go_on.clear()
        assert measuring.value(time.monotonic() + 0.05).value is None
        go_on.set()
        assert measuring.value(time.monotonic() + 10).value == expected

    measuring = Measuring("it", measure, said.append, kept_seconds=0, again_seconds=0)
    for _ in range(3):
        ask(None)
    reasons = ["it: no answer in time", "it: no route"]
    assert said == reasons
    works = True
    ask("value")
    works = False
    ask(None)
    assert said == reasons * 2


def test_a_reason_that_is_never_the_same_is_not_said_for_ever() -> None:
    said: list[str] = []
    complaint = Complaint("it", said.append)
    for number in range(100):
        complaint.say(f"attempt {number} failed")
    assert len(said) == MOST_REASONS


def test_a_failure_is_said_once_and_tried_again_sooner() -> None:
    said: list[str] = []
    tries = iter([ValueError("no route"), ValueError("no route"), None])

    def measure() -> str:
        if error := next(tries):
            raise error
        return "value"

    measuring = Measuring("it", measure, said.append, kept_seconds=60, again_seconds=0)
    assert measuring.value(time.monotonic() + 10).value is None
    assert measuring.value(time.monotonic() + 10).value is None
    assert said == ["it: no route"]
    assert measuring.value(time.monotonic() + 10).value == "value"
    assert (
        measuring.value(time.monotonic() + 10).value == "value"
    )  # a fourth measurement would fail
