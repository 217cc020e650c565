"""Which broker it is: by what is in it, not by its address."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError, RedisError

from taxi_platform.broker import broker_at
from taxi_platform.workers.mark import Mark
from taxi_platform_tests.hosts.redis_server import PASSWORD, Redis, running_redis

pytestmark = pytest.mark.slow


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with running_redis(tmp_path) as running:
        yield running


def test_a_broker_has_one_mark_by_whatever_address(redis: Redis) -> None:
    mark = Mark(broker_at(redis.url)).ask()
    assert mark
    assert Mark(broker_at(redis.url.replace("127.0.0.1", "localhost"))).ask() == mark
    assert Mark(broker_at(redis.database(1))).ask() not in (mark, None)


def test_a_mark_that_was_lost_is_replaced_for_everybody(redis: Redis) -> None:
    one, two = (Mark(broker_at(redis.url)) for _ in range(2))
    before = one.seen()
    redis.empty()
    assert one.seen() == two.seen() != before


def test_who_may_leave_no_mark_has_none(redis: Redis) -> None:
    redis.client().acl_setuser(
        "ann", enabled=True, passwords=["+pw"], keys=["q*"], commands=["+@all"]
    )
    assert Mark(broker_at(f"redis://ann:pw@127.0.0.1:{redis.port}/0")).ask() is None


def test_a_broker_that_does_not_answer_is_the_one_that_it_was(redis: Redis) -> None:
    mark = Mark(broker_at(redis.url))
    before = mark.seen()
    redis.process.terminate()
    redis.process.wait(30)
    assert mark.seen() == before
    with pytest.raises((RedisError, OSError)):
        mark.ask()


def test_a_server_that_says_nothing_is_not_asked_again_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mark = Mark(broker_at(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        assert mark.seen() is None
        since = time.monotonic()
        assert mark.seen() is None
        assert time.monotonic() - since < 1


def test_a_wrong_password_is_no_missing_mark(redis: Redis) -> None:
    with pytest.raises(AuthenticationError):
        Mark(broker_at(redis.url.replace(PASSWORD, "wrong"))).ask()
