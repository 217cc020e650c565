"""A server that sends a little now and then, and never an end."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SECONDS = 0.05
"""Between two parts; no timeout of a socket notices."""


@contextmanager
def dripping_server(start: bytes, drop: bytes) -> Iterator[int]:
    """A server that sends something at once, and then drops; the port.

    Args:
        start: what it sends first.
        drop: what it sends from then on.
    """
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(start)
            while not ended.wait(SECONDS):
                connection.sendall(drop)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=drip, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=accept, args=(listener,))]
        threads[0].start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
