"""Sees before `make dev` starts anything that its port is free.

Dagster's web server would take another port without a word, and a second daemon would start beside
the first.
"""

from taxi_platform.local.processes import LOOPBACK, port_is_free


def why_not(port: str) -> str | None:
    """Why nothing can listen at a port of the loopback, and what to do; None if it can."""
    if not (port.isdecimal() and 0 < int(port) < 65_536):
        return f"PORT is {port!r}: give a number from 1 to 65535, such as PORT=3001"
    if not port_is_free(int(port)):
        return (
            f"{LOOPBACK}:{port} is taken: is `make dev` running already? If not, choose another "
            "port: make dev PORT=3001"
        )
    return None
