"""Addresses that may contain secrets: user and password, or a signature in the query.

An address is written as scheme, host and path, wherever it is written. Only who sends a request to
it asks for all of it.
"""

import hashlib
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from taxi_platform.redaction import redact

LEAST_SECRET = 8
"""Values of a query with fewer characters are no secrets, but options such as ``raw=1``."""

LEAST_USER = 12
"""Users of fewer characters are names; longer ones may be tokens."""

NOT_PASSWORDS = {"", "x-oauth-basic", "x-access-token"}
"""What stands beside a token in an address: the token is the other part."""


def is_synthetic(source: str | None) -> bool:
    """Whether a recorded source is that of generated trips, of which no row is real."""
    return source is not None and source.startswith("synthetic:")


def parts_of(address: str) -> SplitResult:
    """The parts of an address; no message repeats it, for it may contain a password.

    Raises:
        ValueError: its host or port cannot be read.
    """
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise ValueError(
            "its host or port cannot be read: percent-encode what is special in its user and "
            "password, such as / as %2F and @ as %40"
        ) from None
    return parts


class SourceAddress:
    """An address whose text contains no secrets.

    >>> str(SourceAddress("https://taxi:hunter2@host:8443/a/b.csv?sig=abc"))
    'https://host:8443/a/b.csv'
    """

    def __init__(self, text: str) -> None:
        self.__text = text

    def __str__(self) -> str:
        return public_part(self.__text)

    def __repr__(self) -> str:
        return f"SourceAddress({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceAddress) and self.__text == other.__text

    def __hash__(self) -> int:
        return hash(self.__text)

    @property
    def scheme(self) -> str:
        """The scheme: ``http``, ``https`` or ``file``; ``synthetic`` for what is generated."""
        return urlsplit(self.__text).scheme

    @property
    def path(self) -> str:
        """The path, as it is in the address."""
        return urlsplit(self.__text).path

    def with_secrets(self) -> str:
        """The whole address, for the client that sends the request, and for nobody else."""
        return self.__text

    def redacted(self, text: object) -> str:
        """A message about a request to it, without its secrets."""
        return redact(str(text), secrets_in(self.__text))

    def fingerprint(self) -> str:
        """Tells two addresses apart; too short and too slow to guess a secret by."""
        parts = urlsplit(self.__text)
        without_user = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        address = urlunsplit(without_user).encode()
        return hashlib.scrypt(address, salt=b"taxi_platform", n=1 << 14, r=8, p=1, dklen=4).hex()


def public_part(text: str) -> str:
    """Scheme, host, port and path of an address."""
    parts = urlsplit(text)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def secrets_in(text: str) -> list[str]:
    """The parts of an address to redact, should somebody else's message contain them."""
    parts = urlsplit(text)
    login = parts.netloc.rpartition("@")[0]
    user, _, password = login.partition(":")
    found = [login, password] if password not in NOT_PASSWORDS else [login]
    if password in NOT_PASSWORDS or len(user) >= LEAST_USER:
        found.append(user)
    values = [value for _, value in parse_qsl(parts.query)]
    found += [parts.query, *(value for value in values if len(value) >= LEAST_SECRET)]
    if login or parts.query:
        found.append(text)
    known = {spelling for secret in found for spelling in (secret, unquote(secret))}
    # A value such as the month is no secret.
    return sorted(secret for secret in known - NOT_PASSWORDS if "{" not in secret)
