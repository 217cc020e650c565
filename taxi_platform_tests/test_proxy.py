"""The proxy of deploy/, run before two real web servers; skips where there is no Caddy."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from taxi_platform_tests.cli.terminals import COMMAND
from taxi_platform_tests.conftest import PROJECT, EmbeddedStack, free_port, stop_process

CADDY = shutil.which("caddy")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CADDY is None, reason="no caddy: apt-get install caddy"),
]

START_SECONDS = 90.0
PERMISSIONS = {"query": "{ permissions { permission value } }"}


@dataclass(frozen=True)
class Site:
    """One of the proxy's two hosts. Both listen without TLS here: their names belong to nobody."""

    url: str

    def get(self, path: str, *login: str) -> httpx.Response:
        return self._ask("GET", path, login)

    def permissions(self, *login: str) -> Mapping[str, bool]:
        answer = self._ask("POST", "/graphql", login, PERMISSIONS).raise_for_status()
        return {p["permission"]: p["value"] for p in answer.json()["data"]["permissions"]}

    def _ask(
        self, method: str, path: str, login: tuple[str, ...], said: object = None
    ) -> httpx.Response:
        auth = httpx.BasicAuth(*login) if login else None
        url = self.url + path
        return httpx.request(method, url, json=said, auth=auth, timeout=60, trust_env=False)


@pytest.fixture(scope="module")
def sites(
    stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Site]]:
    """The host of those who launch, and of those who look."""
    folder = tmp_path_factory.mktemp("proxy")
    (folder / "workspace.yaml").write_text("load_from: []\n")
    with ExitStack() as running:

        def start(name: str, *command: str, **more: str) -> None:
            log = running.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=stack.environ(**more),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            running.callback(stop_process, process)

        upstreams = {"webserver": free_port(), "viewer": free_port()}
        for name, port in upstreams.items():
            program = str(COMMAND.with_name("dagster-webserver"))
            only_looks = ("--read-only",) if name == "viewer" else ()
            start(name, program, "-h", "127.0.0.1", "-p", str(port), *only_looks)
        hosts = [f"http://localhost:{free_port()}" for _ in range(2)]
        hashes = [hashed(password) for password in ("launch", "look")]
        (folder / "Caddyfile").write_text(caddyfile(upstreams))
        start(
            "caddy",
            *(str(CADDY), "run", "--config", "Caddyfile", "--adapter", "caddyfile"),
            HOME=str(folder),
            XDG_DATA_HOME=str(folder),
            XDG_CONFIG_HOME=str(folder),
            UI_HOST=hosts[0],
            UI_USER="ann",
            UI_PASSWORD_HASH=hashes[0],
            VIEW_HOST=hosts[1],
            VIEW_USER="bob",
            VIEW_PASSWORD_HASH=hashes[1],
        )
        ui, view = map(Site, hosts)
        wait_for(ui, "ann", "launch")
        wait_for(view, "bob", "look")
        yield ui, view


def hashed(password: str) -> str:
    command = [str(CADDY), "hash-password", "--plaintext", password]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


def caddyfile(upstreams: Mapping[str, int]) -> str:
    """The project's, with addresses of this host in place of those of containers."""
    text = (PROJECT / "deploy/Caddyfile").read_text().replace("127.0.0.1:2015", f":{free_port()}")
    for name, port in upstreams.items():
        assert f"reverse_proxy {name}:3000" in text
        text = text.replace(f"{name}:3000", f"127.0.0.1:{port}")
    said = subprocess.run([str(CADDY), "version"], capture_output=True, check=True, text=True)
    version = re.search(r"(\d+)\.(\d+)", said.stdout)
    if version and (int(version[1]), int(version[2])) < (2, 8):
        text = text.replace("basic_auth", "basicauth")  # as it was called
    return text


def wait_for(site: Site, *login: str) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            if site.get("/server_info", *login).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < until, site.url
        time.sleep(0.5)


def test_nobody_sees_anything_without_a_log_in(sites: tuple[Site, Site]) -> None:
    for site in sites:
        for path in ("/", "/server_info", "/graphql"):
            answer = site.get(path)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
            assert "Dagster" not in answer.text


def test_a_log_in_is_for_its_own_host(sites: tuple[Site, Site]) -> None:
    ui, view = sites
    assert ui.get("/server_info", "ann", "launch").json()["dagster_version"]
    assert view.get("/server_info", "bob", "look").json()["dagster_version"]
    assert ui.get("/server_info", "bob", "look").status_code == 401
    assert view.get("/server_info", "ann", "launch").status_code == 401
    assert ui.get("/server_info", "ann", "look").status_code == 401


def test_people_who_look_change_nothing(sites: tuple[Site, Site]) -> None:
    ui, view = sites
    allowed = ui.permissions("ann", "launch")
    assert allowed["launch_pipeline_execution"]
    assert allowed["terminate_pipeline_execution"]
    looking = view.permissions("bob", "look")
    assert looking.keys() == allowed.keys()
    assert not any(looking.values())
