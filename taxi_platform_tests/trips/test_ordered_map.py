"""Items are made and processed in order, in threads that also do other work."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from taxi_platform.trips.ordered_map import MAX_PENDING, cpu_threads, map_in_order

pytestmark = pytest.mark.timeout(60)


class Items:
    """Numbers that take a moment to make, and whether one is being made."""

    def __init__(self, many: int, fails_at: int | None = None) -> None:
        self.made: list[int] = []
        self.threads: set[str] = set()
        self.is_busy = False
        self._many = many
        self._fails_at = fails_at

    def __iter__(self) -> Iterator[int]:
        for number in range(self._many):
            assert not self.is_busy
            self.is_busy = True
            self.threads.add(threading.current_thread().name)
            pause()
            self.is_busy = False
            if number == self._fails_at:
                raise OSError(f"number {number} cannot be read")
            self.made.append(number)
            yield number


def pause() -> None:
    time.sleep(random.random() / 1000)  # noqa: S311


def negative(number: int) -> int:
    pause()
    return -number


def test_results_are_in_the_order_of_the_items_whoever_else_uses_the_threads() -> None:
    items = Items(300)
    found = []
    with cpu_threads() as pool:
        for result in map_in_order(pool, negative, iter(items)):
            found.append(result)
            if result % 3 == 0:
                pool.submit(pause)
    assert found == [-n for n in range(300)]
    assert threading.current_thread().name not in items.threads


def test_an_item_that_cannot_be_made_fails_in_its_turn() -> None:
    found: list[int] = []
    with cpu_threads() as pool, pytest.raises(OSError, match="number 7 cannot be read"):
        found.extend(map_in_order(pool, negative, iter(Items(20, fails_at=7))))
    assert found == [-n for n in range(7)]


def test_a_result_that_cannot_be_had_fails_in_its_turn_and_ends_all() -> None:
    def fails_at_7(number: int) -> int:
        if number == 7:
            raise ValueError("7 is unlucky")
        return negative(number)

    items, found = Items(1000), list[int]()
    with cpu_threads() as pool, pytest.raises(ValueError, match="7 is unlucky"):
        found.extend(map_in_order(pool, fails_at_7, iter(items)))
    assert found == [-n for n in range(7)]
    assert len(items.made) <= 8 + MAX_PENDING


def test_nothing_goes_on_after_the_caller_has_stopped() -> None:
    """Whatever is in progress or waits at that moment; a forgotten one would wait forever."""
    with cpu_threads() as pool:
        for _ in range(200):
            items = Items(50)
            source = iter(items)
            with closing(map_in_order(pool, negative, source)) as results:
                for taken, _ in enumerate(results):
                    pool.submit(pause)
                    if taken == random.randrange(6):  # noqa: S311
                        break
            assert not items.is_busy
            made = len(items.made)
            assert len([*source]) == 50 - made, "no thread is in it any more"
