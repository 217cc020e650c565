"""What `image-check` asks in Python.

This machine's pip settings, whether the image contains any of them, and whether its services work.
Standard library only.
"""

import argparse
import ast
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# The options that say where packages come from and how to reach them. Other settings of a machine
# have no meaning in the build.
OPTIONS = (
    "default-timeout extra-index-url find-links index-url no-index proxy retries timeout "
    "trusted-host"
).split()
PLACES = {"extra-index-url", "find-links", "index-url"}
SECRET_FILES = {".env", ".netrc", ".pypirc", "pip.conf"}
ASSETS = {"bigquery_trips", "cleaned_trips", "gcs_trips", "postgres_trips", "raw_trips"}
QUERY = """{
  workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {
    __typename
    ... on PythonError { message }
    ... on RepositoryLocation { repositories { assetNodes { assetKey { path } } } }
  } } } }
}"""


def pip_config(python: str, canary: str, folder: Path) -> None:
    """Writes this machine's pip settings and certificates for the build.

    They become the files `pip_conf` and `ca_bundle`. Folders of this machine do not exist in
    the build and are left out: the lock files list only packages of an index.
    """
    settings = _pip_settings(python)
    certificates = settings.get("cert") or ssl.get_default_verify_paths().cafile
    bundle = Path(certificates) if certificates and Path(certificates).is_file() else None
    (folder / "ca_bundle").write_bytes(bundle.read_bytes() if bundle else b"")
    lines = [f"# {canary}", "[global]"]
    lines += [f"{name} = {settings[name]}" for name in OPTIONS if name in settings]
    if bundle:
        lines.append("cert = /run/secrets/ca_bundle")
    (folder / "pip_conf").write_text("\n".join(lines) + "\n")
    (folder / "public_hosts").write_text(_public_hosts(python))


def leaks(root: Path, folder: Path, config: str) -> None:
    """Fails if the image keeps anything of the settings that `pip_config` wrote.

    Args:
        root: The image's files.
        folder: Where `pip_config` wrote to.
        config: The image's own description: environment, labels, history.
    """
    traces = _traces(folder, root)
    found = [f"{kind} in its description" for text, kind in traces.items() if text in config]
    for path in _files(root):
        inside = path.relative_to(root)
        if path.name in SECRET_FILES or inside.is_relative_to("run/secrets"):
            found.append(f"/{inside}")
            continue
        content = path.read_bytes()
        found += [
            f"{kind} in /{inside}" for text, kind in traces.items() if text.encode() in content
        ]
    if found:
        sys.exit("the image keeps: " + ", ".join(found[:10]))
    _say(f"the image keeps no pip settings, certificates or secrets ({len(traces)} traces sought)")


def webserver(port: int, seconds: float) -> None:
    """Waits until the web server answers and its code location is loaded, and prints its assets."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            info = _request(port, "GET", "/server_info")
            break
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"the web server does not answer within {seconds:.0f} s: {error}")
            time.sleep(0.5)
    _say(f"/server_info: 200, Dagster {info['dagster_version']}")
    answer = _request(port, "POST", "/graphql", {"query": QUERY})
    (entry,) = answer["data"]["workspaceOrError"]["locationEntries"]
    location = entry["locationOrLoadError"] or {"__typename": "nothing yet"}
    if location["__typename"] != "RepositoryLocation":
        sys.exit(f"the code location is not loaded: {json.dumps(location)}")
    nodes = [node for item in location["repositories"] for node in item["assetNodes"]]
    names = {"/".join(node["assetKey"]["path"]) for node in nodes}
    if missing := ASSETS - names:
        sys.exit(f"the code location has {sorted(names)}, and lacks {sorted(missing)}")
    _say(f"GraphQL: {entry['name']} is loaded, with {', '.join(sorted(ASSETS))}")


def processes(root: Path, uid: int) -> None:
    """Fails unless there are processes in the image, and the user owns all of them."""
    seen = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "root").samefile(root):
                command = (folder / "cmdline").read_bytes().split(b"\0")
                name = next((part for part in command if b"/bin/dagster" in part), command[0])
                seen[int(folder.name)] = (folder.stat().st_uid, Path(os.fsdecode(name)).name)
        except OSError:  # it has ended
            continue
    if not seen or any(owner != uid for owner, _ in seen.values()):
        sys.exit(f"not all processes run as uid {uid}: {seen}")
    names = sorted({name for _, name in seen.values()})
    _say(f"{len(seen)} processes, all with uid {uid}: {', '.join(names)}")


def _pip_settings(python: str) -> dict[str, str]:
    """The settings of pip; the environment overrides files."""
    command = [python, "-m", "pip", "config", "list"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    settings: dict[str, str] = {}
    for kind in ("global", "install", ":env:"):
        for line in output.splitlines():
            if match := re.fullmatch(re.escape(kind) + r"\.([\w-]+)=(.*)", line):
                settings[match[1]] = ast.literal_eval(match[2])
    for name in PLACES & settings.keys():
        remote = [place for place in settings[name].split() if urlsplit(place).netloc]
        settings[name] = " ".join(remote)
    return {name: value for name, value in settings.items() if value}


def _public_hosts(python: str) -> str:
    """The hosts that every pip knows and packages mention, so they are no trace of this machine."""
    script = (
        "from pip._internal.models.index import PyPI as p; print(p.netloc, p.file_storage_domain)"
    )
    return subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout


def _traces(folder: Path, root: Path) -> dict[str, str]:
    """The texts that must not be in the image, with their names for a message."""
    text = (folder / "pip_conf").read_text()
    public = (folder / "public_hosts").read_text().split()
    traces = {text.splitlines()[0].removeprefix("# "): "pip's settings"}
    for address in map(urlsplit, re.findall(r"https?://\S+", text)):
        if address.hostname and address.hostname not in public:
            traces[address.hostname] = "an index's host"
        if address.password:
            traces[address.password] = "an index's password"
    own = _certificates(folder / "ca_bundle")
    for bundle in _public_bundles(root):
        own -= _certificates(bundle)
    # A line from the middle identifies a certificate.
    lines = (certificate.splitlines() for certificate in own)
    return traces | {line[len(line) // 2]: "an own certificate" for line in lines}


def _certificates(bundle: Path) -> set[str]:
    text = bundle.read_text(errors="replace")
    return set(re.findall("-----BEGIN CERTIFICATE-----\n.+?-----END", text, re.DOTALL))


def _public_bundles(root: Path) -> Iterator[Path]:
    """The certificates that Debian and Python packages ship, which our own bundle also contains."""
    yield from root.glob("etc/ssl/certs/ca-certificates.crt")
    yield from root.glob("opt/venv/lib/python3*/site-packages/certifi/cacert.pem")
    yield from root.glob("opt/venv/lib/python3*/site-packages/grpc/_cython/_credentials/roots.pem")


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _request(port: int, method: str, path: str, body: object = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json"}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    response = connection.getresponse()
    if response.status != http.HTTPStatus.OK:
        raise OSError(f"{path} answers {response.status}")
    return json.loads(response.read())


def _say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def main() -> None:
    """Runs the function that the first argument names."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    arguments: dict[Callable[..., None], dict[str, type]] = {
        pip_config: {"python": str, "canary": str, "folder": Path},
        leaks: {"root": Path, "folder": Path, "config": str},
        webserver: {"port": int, "seconds": float},
        processes: {"root": Path, "uid": int},
    }
    for function, types in arguments.items():
        command = commands.add_parser(function.__name__.replace("_", "-"))
        command.set_defaults(function=function)
        for name, kind in types.items():
            command.add_argument(name, type=kind)
    options = vars(parser.parse_args())
    del options["command"]
    options.pop("function")(**options)


if __name__ == "__main__":
    main()
