"""Two hosts on one machine, with a network between them: Linux's network namespaces need root."""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

NETWORK = "10.99.0.0/24"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Host:
    """A host with a network of its own. It shares the machine's files.

    Attributes:
        name: of the namespace.
        address: where the other host reaches it.
    """

    name: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command begins with to run on the host."""
        return ("ip", "netns", "exec", self.name)

    def cut_off(self) -> None:
        """Cuts the network: nothing that is sent arrives, and nobody is told."""
        _ip("-n", self.name, "link", "set", _cable(self.name), "down")

    def reconnect(self) -> None:
        """Repairs the network."""
        _ip("-n", self.name, "link", "set", _cable(self.name), "up")


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts that are connected by a cable."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("hosts need Linux, root and iproute2")
    number = next(_numbers)
    hosts = [Host(f"taxi{os.getpid()}-{number}{end}", f"10.99.0.{at}") for at, end in _ENDS]
    with ExitStack() as stack:
        for host in hosts:
            try:
                _ip("netns", "add", host.name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespaces here: {error.stderr}")
            stack.callback(_ip, "netns", "del", host.name)
        first, second = hosts
        _ip(
            *("-n", first.name, "link", "add", _cable(first.name), "type", "veth"),
            *("peer", "name", _cable(second.name), "netns", second.name),
        )
        for host in hosts:
            _ip("-n", host.name, "link", "set", "lo", "up")
            _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", _cable(host.name))
            host.reconnect()
        yield first, second


_ENDS = ((1, "a"), (2, "b"))


def _cable(host: str) -> str:
    return f"cable-{host[-1]}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
