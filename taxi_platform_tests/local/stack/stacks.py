"""What the stack's tests ask of a stack."""

from pathlib import Path

import psycopg

from taxi_platform.local.stack import LocalStack, ServerStatus

NAMES = ["gcs", "postgres", "bigquery"]
DAGSTER_YAML = """
storage:
  postgres:
    postgres_db:
      username: {env: TAXI_POSTGRES_USER}
      password: {env: TAXI_POSTGRES_PASSWORD}
      hostname: {env: TAXI_POSTGRES_HOST}
      db_name: {env: TAXI_DAGSTER_POSTGRES_DATABASE}
      port: {env: TAXI_POSTGRES_PORT}
telemetry: {enabled: false}
"""


def make_project(path: Path) -> Path:
    path.mkdir()
    (path / "dagster.yaml").write_text(DAGSTER_YAML)
    return path


def by_name(stack: LocalStack) -> dict[str, ServerStatus]:
    return {status.name: status for status in stack.status()}


def pids(stack: LocalStack) -> dict[str, int | None]:
    return {status.name: status.pid for status in stack.status()}


def states(stack: LocalStack) -> list[str]:
    return [status.state for status in stack.status()]


def connect(environment: dict[str, str], **changes: str) -> psycopg.Connection[tuple[object, ...]]:
    parameters = {
        "host": environment["TAXI_POSTGRES_HOST"],
        "port": environment["TAXI_POSTGRES_PORT"],
        "user": environment["TAXI_POSTGRES_USER"],
        "password": environment["TAXI_POSTGRES_PASSWORD"],
        "dbname": environment["TAXI_POSTGRES_DATABASE"],
    }
    return psycopg.connect(**{**parameters, **changes})  # type: ignore[arg-type]
