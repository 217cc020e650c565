"""The first thing that anybody runs, `make venv`, on machines of all kinds and on any day.

The Makefile and its scripts are this project's own. What they install are small wheels that the
tests make, so that no index is asked, and what an index has, and what was published since the lock
was written, is for the tests to say.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from taxi_platform_tests.conftest import PROJECT, free_port, inherited_environment

PYTHON = os.environ.get("TAXI_TEST_PYTHON", sys.executable)
"""For `make venv`; another, to see how its pip fares."""

LOCKED = {
    "google-api-core": "2.44.0",
    "google-auth": "2.62.2",
    "grpcio": "1.80.0",
    "pyopenssl": "26.0.0",
}
EXTRAS = {"google-api-core": "[grpc]", "google-auth": "[pyopenssl]"}
NEEDS = {
    "google-api-core": ["google-auth<3.0.0,>=2.14.1", "grpcio>=1.50; extra == 'grpc'"],
    "google-auth": ["pyopenssl>=20; extra == 'pyopenssl'"],
}
PUBLISHED_SINCE = {
    "google-api-core": "2.45.0",
    "google-auth": "2.63.0",
    "grpcio": "1.81.0",
    "pyopenssl": "26.1.0",
}
SIZES = {"big": 40_000_000}
PACKAGES = ("bigquery_emulator", "gcs_emulator", "loopback_server")
OWN = dict.fromkeys(("project", *PACKAGES), "1.0")
"""The projects of the checkout itself."""

BACKEND = """
import zipfile
from pathlib import Path

def build_editable(folder, settings=None, metadata=None):
    with zipfile.ZipFile(Path(folder, f"{NAME}-1.0-py3-none-any.whl"), "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(f"{NAME}-1.0.dist-info/{name}", text)
    return f"{NAME}-1.0-py3-none-any.whl"

FILES = {
    "METADATA": f"Metadata-Version: 2.1\\nName: {NAME}\\nVersion: 1.0\\n",
    "WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "RECORD": "".join(f"{NAME}-1.0.dist-info/{n},,\\n" for n in ("METADATA", "WHEEL", "RECORD")),
}
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def make_wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel of one module, which needs what NEEDS says of it."""
    module = name.replace("-", "_")
    about = f"{module}-{version}.dist-info"
    needs = NEEDS.get(name, [])
    extras = {extra for need in needs for extra in re.findall("extra == '(.*)'", need)}
    lines = [f"Provides-Extra: {extra}" for extra in extras]
    lines += [f"Requires-Dist: {need}" for need in needs]
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines]
    files = {
        f"{module}.py": f"version = {version!r}\n" + "#" * SIZES.get(name, 0),
        f"{about}/METADATA": "\n".join(metadata) + "\n",
        f"{about}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,"]) + "\n"
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name_inside, text in files.items():
            wheel.writestr(name_inside, text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Checkout:
    """A small project with this one's Makefile, and the packages that there are for it."""

    folder: Path
    environment: dict[str, str]
    locked: dict[str, str] = field(default_factory=lambda: dict(LOCKED))

    @property
    def wheels(self) -> Path:
        return self.folder.parent / "wheels"

    def lock(self, name: str = "requirements.lock") -> None:
        """Writes a lock of what was published when it was written."""
        lines = []
        for package, version in sorted(self.locked.items()):
            digest = hashlib.sha256(make_wheel(self.wheels, package, version).read_bytes())
            extra = EXTRAS.get(package, "")
            lines.append(
                f"{package}{extra}=={version} \\\n    --hash=sha256:{digest.hexdigest()}\n"
            )
        (self.folder / name).write_text("".join(lines))

    def publish(self) -> None:
        """Publishes a newer version of each."""
        for package, version in PUBLISHED_SINCE.items():
            make_wheel(self.wheels, package, version)

    def command(self, *more: str) -> list[str]:
        return ["make", "venv", f"PYTHON={PYTHON}", *more]

    def make(self, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*more),
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def refused(self, *more: str, **environment: str) -> str:
        """The line in which `make venv` says why it did not, besides make's own."""
        done = self.make(*more, **environment)
        assert done.returncode != 0
        said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
        assert len(said) == 1, done.stderr
        assert said[0].startswith("Error: ")
        return said[0]

    def installed(self) -> dict[str, str]:
        return installed(self.folder / ".venv/bin/python", self.environment)


def installed(python: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What an environment holds, but for what every new one has."""
    listed = subprocess.run(
        [PYTHON, "-m", "pip", "--python", python, "list", "--format", "json"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    packages = {package["name"]: package["version"] for package in json.loads(listed.stdout)}
    return {name: v for name, v in packages.items() if name not in ("pip", "setuptools")}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "checkout"
    (folder / "deploy").mkdir(parents=True)
    for name in ("Makefile", "deploy/make-venv", "deploy/install-locked"):
        shutil.copy(PROJECT / name, folder / name)
    for name in ("project", *PACKAGES):
        project = folder if name == "project" else folder / "packages" / name
        project.mkdir(parents=True, exist_ok=True)
        (project / "pyproject.toml").write_text(PYPROJECT)
        (project / "backend.py").write_text(f"NAME = {name!r}\n{BACKEND}")
    (tmp_path / "wheels").mkdir()
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
    environment = {k: v for k, v in inherited_environment().items() if not k.startswith("PIP_")}
    checkout = Checkout(folder, environment | settings)
    checkout.environment["PIP_FIND_LINKS"] = str(checkout.wheels)
    checkout.environment["PIP_CACHE_DIR"] = str(tmp_path / "cache")
    checkout.lock()
    return checkout


@pytest.mark.slow
def test_what_the_lock_names_is_installed_whatever_was_published_since(checkout: Checkout) -> None:
    checkout.publish()
    done = checkout.make()
    assert done.returncode == 0, done.stdout + done.stderr
    assert checkout.installed() == LOCKED | OWN


@pytest.mark.slow
def test_what_the_images_locks_name_is_installed_whatever_was_published_since(
    checkout: Checkout, tmp_path: Path
) -> None:
    checkout.publish()
    for name in ("requirements-build.lock", "requirements-deploy.lock"):
        checkout.lock(name)
    # What the Dockerfile runs in /build, elsewhere.
    dockerfile = (PROJECT / "Dockerfile").read_text()
    stage = re.search(r"\nRUN (?:--mount=\S+ )+\\\n(.*?)\n\n", dockerfile, re.DOTALL)
    assert stage
    shutil.copy(PROJECT / "deploy/install-locked", checkout.folder)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(shutil.which(PYTHON) or PYTHON)
    done = subprocess.run(
        ["sh", "-c", stage[1].replace("/opt/", f"{tmp_path}/opt/")],
        cwd=checkout.folder,
        env=checkout.environment | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for venv in ("venv", "build"):
        assert installed(tmp_path / f"opt/{venv}/bin/python", checkout.environment) == LOCKED


@pytest.mark.slow
def test_a_lock_that_lacks_something_that_its_packages_need_is_refused(checkout: Checkout) -> None:
    del checkout.locked["google-auth"]
    checkout.lock()
    done = checkout.make()
    assert done.returncode != 0
    assert "google-api-core 2.44.0 requires google-auth, which is not installed" in done.stderr
    assert checkout.make().returncode != 0  # it does not count as made
    checkout.locked = dict(LOCKED)
    checkout.lock()
    assert checkout.make().returncode == 0


@pytest.mark.slow
def test_a_venv_that_is_made_is_kept_until_its_lock_changes_or_its_folder_moves(
    checkout: Checkout, tmp_path: Path
) -> None:
    assert "Making .venv" in checkout.make().stdout
    assert "Making .venv" not in checkout.make().stdout
    checkout.locked = PUBLISHED_SINCE
    checkout.lock()
    assert "Making .venv" in checkout.make().stdout
    assert checkout.installed() == PUBLISHED_SINCE | OWN
    checkout.folder = checkout.folder.rename(tmp_path / "moved")
    assert "Making .venv" in checkout.make().stdout
    moved = checkout.folder / ".venv/bin/pip"
    assert moved.read_text().startswith(f"#!{checkout.folder}/")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (None, "there is no {python} here"),
        ("echo 3.10.13", "{python} is Python 3.10.13"),
        ("echo 'python3.12: no such version' >&2; exit 127", "{python} does not run"),
    ],
)
def test_a_python_that_will_not_do_is_named_together_with_those_that_will(
    checkout: Checkout, tmp_path: Path, program: str | None, said: str
) -> None:
    python = tmp_path / "python"
    if program is not None:
        python.write_text(f"#!/bin/sh\n{program}\n")
        python.chmod(0o755)
    line = checkout.refused(f"PYTHON={python}")
    assert said.format(python=python) in line
    assert "Python 3.11 to 3.13 is needed; name one" in line
    assert "PYTHON=python3.1" in line


def test_a_python_without_the_venv_module_says_what_brings_it(
    checkout: Checkout, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    # As Debian's without python3-venv: ensurepip is not there.
    (tmp_path / "ensurepip.py").write_text("raise ModuleNotFoundError\n")
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {PYTHON} "$@"\n')
    python.chmod(0o755)
    line = checkout.refused(f"PYTHON={python}")
    assert "lacks the modules venv and ensurepip" in line
    assert re.search(r"'apt-get install python3\.1\d-venv'", line)


@pytest.mark.slow
def test_an_index_that_cannot_be_reached_is_told_in_one_line_without_its_address(
    checkout: Checkout,
) -> None:
    del checkout.environment["PIP_NO_INDEX"], checkout.environment["PIP_FIND_LINKS"]
    index = f"http://user:s3cret@127.0.0.1:{free_port()}/simple"
    line = checkout.refused(PIP_INDEX_URL=index, PIP_RETRIES="1")
    assert "the package index cannot be reached ([Errno 111] Connection refused)" in line
    assert "run this again" in line
    assert "s3cret" not in line


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [5, 30])
def test_a_disk_without_room_is_told_in_one_line_and_not_left_full(
    checkout: Checkout, tmp_path: Path, megabytes: int
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        shutil.copytree(checkout.folder, disk / "checkout")
        checkout.locked["big"] = "1.0"
        checkout.lock()
        shutil.copy(checkout.folder / "requirements.lock", disk / "checkout")
        checkout.folder = disk / "checkout"
        line = checkout.refused(PIP_FIND_LINKS=str(tmp_path / "wheels"))
        assert "no room on the disk" in line
        assert "make room" in line
        assert shutil.disk_usage(disk).used < 1_000_000
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_venv_half_made_by_a_run_that_was_killed_is_made_again(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as index:  # which takes a connection, and is silent
        port = index.getsockname()[1]
        environment = checkout.environment | {"PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple"}
        del environment["PIP_NO_INDEX"], environment["PIP_FIND_LINKS"]
        making = subprocess.Popen(
            checkout.command(), cwd=checkout.folder, env=environment, start_new_session=True
        )
        index.settimeout(60)
        connection, _ = index.accept()
        os.killpg(making.pid, signal.SIGKILL)
        making.wait()
        connection.close()
    assert (checkout.folder / ".venv/bin/python").exists()
    assert checkout.installed() == {}
    done = checkout.make()
    assert done.returncode == 0, done.stderr
    assert checkout.installed() == LOCKED | OWN
