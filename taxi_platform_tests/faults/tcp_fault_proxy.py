"""A TCP proxy on loopback that cuts connections at chosen words of the conversation.

It stands in front of Postgres, whose statements and COPY data pass through as they are.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_CHUNK_BYTES = 1 << 16


@dataclass
class Cut:
    """When a connection is cut, and what is done before the client learns of it.

    Attributes:
        words: what the client says first: ``LOCK TABLE``, for example.
        passed_on: how many of the client's messages, these words the first, still come through;
            a statement is one message, COPY data are one every 64 kB or less.
        arrives: whether the server gets the message at which it is cut, and only its answer is
            lost.
        times: how often, None for good.
        meanwhile: called before the client's connection ends.
        cuts: how often it has happened.
    """

    words: bytes
    passed_on: int = 0
    arrives: bool = False
    times: int | None = 1
    meanwhile: Callable[[], None] = lambda: None
    cuts: int = 0

    @property
    def is_due(self) -> bool:
        return self.times is None or self.cuts < self.times


class TcpFaultProxy:
    """A running proxy.

    Attributes:
        port: where it listens.
        upstream_port: the server behind, on loopback.
    """

    def __init__(self, port: int, upstream_port: int) -> None:
        self.port = port
        self.upstream_port = upstream_port
        self.cut: Cut | None = None
        self.connections: list[_Connection] = []

    @contextmanager
    def cutting(self, cut: Cut) -> Iterator[Cut]:
        """Cuts connections, for as long as the block lasts."""
        self.cut = cut
        try:
            yield cut
        finally:
            self.cut = None


@dataclass
class _Connection:
    proxy: TcpFaultProxy
    client: socket.socket
    server: socket.socket
    threads: list[threading.Thread] = field(default_factory=list)
    tail: bytes = b""
    seen_words: bool = False
    messages: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        for pump in (self._from_client, self._from_server):
            self.threads.append(threading.Thread(target=pump))
        for thread in self.threads:
            thread.start()

    def _from_client(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.client.recv(_CHUNK_BYTES):
                cut = self.proxy.cut
                if cut is not None and cut.is_due and self._reached(cut, data):
                    self._carry_out(cut, data)
                    return
                self.server.sendall(data)
        self.end()

    def _reached(self, cut: Cut, data: bytes) -> bool:
        if not self.seen_words:
            heard = self.tail + data
            self.tail = heard[-len(cut.words) :]
            self.seen_words = cut.words in heard
        if self.seen_words:
            self.messages += 1
        return self.messages > cut.passed_on

    def _carry_out(self, cut: Cut, data: bytes) -> None:
        cut.cuts += 1
        # The client must not hear of the server's end before its time.
        with self.lock:
            if cut.arrives:
                self.server.sendall(data)
                # Until the server is done with it; its answer is thrown away.
                self.server.recv(_CHUNK_BYTES)
            cut.meanwhile()
            self._close()

    def _from_server(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._received():
                self.client.sendall(data)
        self.end()

    def _received(self) -> bytes:
        # Peeked at first: what is read while a cut is under way is not the client's any more.
        if not self.server.recv(1, socket.MSG_PEEK):
            with self.lock:
                return b""
        with self.lock:
            return self.server.recv(_CHUNK_BYTES, socket.MSG_DONTWAIT)

    def end(self) -> None:
        with self.lock:
            self._close()

    def _close(self) -> None:
        for end in (self.client, self.server):
            # Wakes the other pump, which close() alone would leave waiting.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def tcp_fault_proxy(upstream_port: int) -> Iterator[TcpFaultProxy]:
    """A proxy in front of a server of this machine, on a port of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        proxy = TcpFaultProxy(listener.getsockname()[1], upstream_port)
        thread = threading.Thread(target=_accept, args=[listener, proxy])
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in proxy.connections:
                connection.end()
                for pump in connection.threads:
                    pump.join()
                connection.client.close()
                connection.server.close()


def _accept(listener: socket.socket, proxy: TcpFaultProxy) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", proxy.upstream_port))
            except OSError:
                client.close()  # As a server that is down: the connection ends at once.
                continue
            connection = _Connection(proxy, client, server)
            proxy.connections.append(connection)
            connection.start()
