"""TLS, with a certificate of a test's own authority, before a server that has none."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


@dataclass
class Relay:
    """The running server.

    Attributes:
        port: of the loopback.
        authority: the file with the certificate of the authority.
        heard: what clients said.
    """

    port: int
    authority: Path
    heard: bytearray = field(default_factory=bytearray)


@contextmanager
def tls_relay(folder: Path, upstream_port: int) -> Iterator[Relay]:
    """Relays what it receives to a port of the loopback."""
    authority, chain = _certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Relay(int(listener.getsockname()[1]), authority)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        def serve(client: socket.socket) -> None:
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(client, server_side=True) as secure,
                socket.create_connection(("127.0.0.1", upstream_port)) as server,
            ):
                back = threading.Thread(target=copy, args=(server, secure, bytearray()))
                back.daemon = True
                back.start()
                copy(secure, server, relay.heard)

        threading.Thread(target=accept, daemon=True).start()
        yield relay


def copy(source: socket.socket, target: socket.socket, heard: bytearray) -> None:
    """Copies what a socket receives to another one, until either is closed."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            heard += chunk
            target.sendall(chunk)
        target.shutdown(socket.SHUT_RDWR)


def _certificates(folder: Path) -> tuple[Path, Path]:
    """Files of an authority, and of a server's certificate for 127.0.0.1 with its key."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Relay of a test")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))

    def certificate(
        name: x509.Name, of: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=authority,
            subject_name=name,
            public_key=of.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - _DAY,
            not_valid_after=now + _DAY,
        ).add_extension(extension, critical=True)
        return builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    named, chain = folder / "authority.pem", folder / "relay.pem"
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    named.write_bytes(certificate(authority, authority_key, constraints))
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain.write_bytes(private + certificate(subject, key, x509.SubjectAlternativeName([address])))
    return named, chain
