"""Which broker it is, whatever its address: hosts may reach the same one by several.

The first that asks leaves a random mark in the broker's database. Who finds the same mark is
connected to the same one; a mark says nothing of the password.
"""

import math
import time
import uuid

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from taxi_platform.broker import Broker

KEY = "taxi_platform/broker"

AGAIN_SECONDS = 15.0
"""How long the broker is not asked again after it did not answer."""

_ANSWER_SECONDS = 3.0


class Mark:
    """The mark of a broker, as this process last saw it."""

    def __init__(self, broker: Broker) -> None:
        self._redis: Redis = Redis.from_url(
            broker.url,
            socket_connect_timeout=_ANSWER_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._seen: str | None = None
        self._missed = -math.inf

    def ask(self) -> str | None:
        """Asks the broker; None if it lets nobody leave a mark.

        Raises:
            RedisError: it does not answer, or refuses the password.
        """
        try:
            self._redis.set(KEY, uuid.uuid4().hex, nx=True)
            found = self._redis.get(KEY)
        except ResponseError:
            self._redis.ping()
            return None
        self._seen = str(found) if found else None
        return self._seen

    def seen(self) -> str | None:
        """The same, or what it was when the broker last answered."""
        if time.monotonic() > self._missed + AGAIN_SECONDS:
            try:
                self.ask()
            except (RedisError, OSError):
                self._missed = time.monotonic()
        return self._seen
