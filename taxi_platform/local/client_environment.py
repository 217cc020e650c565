"""The environment variables through which clients find a running stack."""

from collections.abc import Mapping
from pathlib import Path

from taxi_platform.local.postgres_server import DAGSTER_DATABASE, DATABASE, ROLE
from taxi_platform.local.processes import LOOPBACK

PROJECT = "taxi-local"
BUCKET = "taxi-lake"
DATASET = "trips"

BROKER = "TAXI_CELERY_BROKER"
"""The variable that only a stack with workers has."""

VARIABLES = (
    "TAXI_ENV",
    "TAXI_GCP_PROJECT",
    "TAXI_GCS_BUCKET",
    "TAXI_BIGQUERY_DATASET",
    "STORAGE_EMULATOR_HOST",
    "BIGQUERY_EMULATOR_HOST",
    "TAXI_POSTGRES_HOST",
    "TAXI_POSTGRES_PORT",
    "TAXI_POSTGRES_USER",
    "TAXI_POSTGRES_PASSWORD",
    "TAXI_POSTGRES_DATABASE",
    "TAXI_DAGSTER_POSTGRES_DATABASE",
    "TAXI_DATA_DIR",
    "DAGSTER_HOME",
)


def client_environment(
    ports: Mapping[str, int], password: str, data_dir: Path, dagster_home: Path
) -> dict[str, str]:
    """The values of all VARIABLES.

    Args:
        ports: The port of each server, by the server's name.
        password: The password of the platform's Postgres role.
        data_dir: Where the platform keeps its files.
        dagster_home: Where Dagster keeps its configuration.

    Raises:
        KeyError: A server has no port.
    """
    values = (
        "local",
        PROJECT,
        BUCKET,
        DATASET,
        f"http://{LOOPBACK}:{ports['gcs']}",
        f"http://{LOOPBACK}:{ports['bigquery']}",
        LOOPBACK,
        str(ports["postgres"]),
        ROLE,
        password,
        DATABASE,
        DAGSTER_DATABASE,
        str(data_dir),
        str(dagster_home),
    )
    return dict(zip(VARIABLES, values, strict=True))
