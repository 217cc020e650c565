"""The health check of a worker: ``python -m taxi_platform.workers.liveness``.

Exits with 0 if a worker of this host has reported within the last half minute.
"""

import socket
import sys
import time

from dagster import DagsterInstance

from taxi_platform.workers.presence import workers

SECONDS = 30.0


def is_alive(instance: DagsterInstance, host: str) -> bool:
    """Whether a worker of a host, whose clock is this one's, reported a moment ago."""
    recent = time.time() - SECONDS
    return any(w.at > recent for w in workers(instance) if w.name.endswith(f"@{host}"))


if __name__ == "__main__":
    with DagsterInstance.get() as opened:
        sys.exit(not is_alive(opened, socket.gethostname()))
