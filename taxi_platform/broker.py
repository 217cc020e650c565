"""The address of the broker, which is judged here and nowhere else.

Celery and Redis' client would say what is wrong with it in a traceback, with parts of the password,
and would not verify the certificate of a server.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

BROKER = "TAXI_CELERY_BROKER"

PLAIN, ENCRYPTED = "redis", "rediss"

_CHECKS = ("none", "optional", "required")
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_PARAMETERS = {*_FILES, "ssl_ca_path", "ssl_cert_reqs", "ssl_check_hostname", "ssl_password"}

_ENCODED = "/ as %2F, ? as %3F, # as %23, @ as %40, % as %25, ; as %3B, [ as %5B, ] as %5D"


@dataclass(frozen=True)
class Broker:
    """An address that can be used.

    Attributes:
        url: for Celery and Redis' client; a secret.
        shown: the same without user, password and parameters.
        secrets: what is secret of it, as the server and the key's file know it.
    """

    url: str
    shown: str
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Broker({self.shown!r})"


def broker_at(address: str) -> Broker:
    """Judges the address of a Redis.

    A server's certificate is verified, unless the address says ``ssl_cert_reqs=none``.

    Raises:
        ValueError: it cannot be used; says why, and repeats nothing that may be a secret.
    """
    scheme, parts = _parts_of(address)
    if not parts.hostname:
        raise ValueError(f"it names no host: give an address such as {scheme}://127.0.0.1:6379/0")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("its port is no number from 1 to 65535")
    database = parts.path.removeprefix("/")
    if not re.fullmatch(r"[0-9]*", database):
        raise ValueError("what follows its port is no number of a database, such as /0")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    where = f"{host}:{port or 6379}/{int(database or 0)}"
    user, at, _ = parts.netloc.rpartition("@")
    parameters = _parameters(scheme, parts.query)
    query = f"?{urlencode(parameters)}" if parameters else ""
    secrets = unquote(parts.password or ""), parameters.get("ssl_password", "")
    return Broker(
        f"{scheme}://{user}{at}{where}{query}",
        f"{scheme}://{where}",
        tuple(secret for secret in secrets if secret),
    )


def _parts_of(address: str) -> tuple[str, SplitResult]:
    scheme, found, rest = address.partition("://")
    scheme = scheme.lower()
    if not found:
        raise ValueError("it is no address: give one such as redis://127.0.0.1:6379/0")
    if scheme not in (PLAIN, ENCRYPTED):
        # What is no name may be a part of a secret.
        what = f"{scheme}://" if re.fullmatch(r"[a-z][a-z0-9+.-]{0,19}", scheme) else "its scheme"
        raise ValueError(f"{what} is unknown: give redis://, or rediss:// for an encrypted one")
    if re.search(r"\s|[^ -~]", rest):
        raise ValueError("it has blanks or letters that are not ASCII: encode them, as %20")
    authority, _, after = re.sub(r"[/?#]", "\0", rest, count=1).partition("\0")
    user = authority.rpartition("@")[0]
    if "@" in after or re.search(r"[@;\[\]]|%(?![0-9A-Fa-f]{2})", user) or ";" in rest:
        raise ValueError(f"its user or password has characters that must be encoded: {_ENCODED}")
    if "#" in rest:
        raise ValueError("it has a #, which must be encoded: # as %23")
    try:
        return scheme, urlsplit(f"{scheme}://{rest}")
    except ValueError:
        raise ValueError("its host cannot be read") from None


def _parameters(scheme: str, query: str) -> dict[str, str]:
    """What follows the question mark, complete."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    if scheme == PLAIN:
        if given:
            raise ValueError("redis:// takes no parameters: rediss:// is the encrypted one")
        return {}
    if given.keys() - _PARAMETERS:
        raise ValueError(f"it has a parameter that is none of {', '.join(sorted(_PARAMETERS))}")
    asked = given.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if asked not in _CHECKS:
        raise ValueError(f"ssl_cert_reqs is none of {', '.join(_CHECKS)}")
    for name in _FILES:
        if name in given and not Path(given[name]).is_file():
            raise ValueError(f"{name} names no file of this host")
    verified = {} if asked == "none" else {"ssl_check_hostname": "true"}
    return verified | given | {"ssl_cert_reqs": asked}
