"""Whose process is at the other end of a loopback connection, as far as the system tells."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
# The kernel hands the table out in pieces, and may skip a row if another one ends meanwhile.
_ATTEMPTS = 3

Address = tuple[str, int]


def peers_are_known() -> bool:
    """Whether this system tells."""
    return _TABLES[0].exists()


def owner_of_peer(peer: Address, server: Address) -> int | None:
    """The user id of the process that opened a connection to this machine's server.

    Args:
        peer: IPv4 address and port of the other end.
        server: IPv4 address and port of this end.

    Returns:
        None if there is no such connection, or its process has closed it: the kernel then
        names root, whoever it was.
    """
    for _ in range(_ATTEMPTS):
        for local, remote, user, inode in _rows():
            if local in _spellings(peer) and remote in _spellings(server):
                return user if inode else None
    return None


def _rows() -> Iterator[tuple[str, str, int, int]]:
    """Both ends, the owner, and the inode of every TCP socket; no inode means closed."""
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except FileNotFoundError:  # a system without IPv6
            continue
        yield from _parsed(lines)


def _parsed(lines: Iterable[str]) -> Iterator[tuple[str, str, int, int]]:
    for line in lines:
        fields = line.split()
        yield fields[1], fields[2], int(fields[7]), int(fields[9])


def _spellings(address: Address) -> tuple[str, str]:
    """An address as the kernel prints it: of an IPv4 socket, and of an IPv6 socket."""
    host, port = address
    (number,) = struct.unpack("=I", socket.inet_aton(host))
    # ::ffff:0:0/96, in groups of four bytes, each in the machine's own order.
    (mapped,) = struct.unpack("=I", b"\0\0\xff\xff")
    return f"{number:08X}:{port:04X}", f"{0:016X}{mapped:08X}{number:08X}:{port:04X}"
