"""The state of the embedded stack between commands: `.taxi/stack.json`.

The file is readable by its owner alone, because it holds the passwords of Postgres, and is
always replaced whole. It is never trusted: it may be damaged, older than the last reboot, or a
copy of another project's.
"""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taxi_platform.local.processes import ProcessIdentity

_VERSION = 1


@dataclass(frozen=True)
class ServerRecord:
    """A server that was started.

    Attributes:
        process: The process it runs in.
        port: Its loopback port.
        arguments: What its program was given; a server whose arguments would be others today
            has to be restarted.
    """

    process: ProcessIdentity
    port: int
    arguments: tuple[str, ...]


@dataclass
class StackState:
    """The content of the state file.

    Attributes:
        folder: The `.taxi` folder it was written for.
        servers: The servers started, by name.
        ports: The port each server last had, by name; they outlive the servers.
        passwords: Passwords of Postgres by role.
    """

    folder: str
    servers: dict[str, ServerRecord] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)


def write_atomically(path: Path, content: bytes, mode: int) -> None:
    """Replaces a file atomically: readers see the old or the new content, also after a crash."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, mode)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class StateFile:
    """Reads and writes the state of one `.taxi` folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "stack.json"
        self._folder = folder

    def load(self, report: Callable[[str], None] = lambda _: None) -> StackState:
        """The state, as far as it is valid; reports what is not."""
        empty = StackState(folder=str(self._folder))
        try:
            state = _decoded(self.path.read_bytes())
        except FileNotFoundError:
            return empty
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            report(f"{self.path} is damaged; using the servers and data that exist.")
            return empty
        if state.folder == empty.folder:
            return state
        if (Path(state.folder) / self.path.name).exists():
            report(f"This folder is a copy of {Path(state.folder).parent}; its servers are left.")
            return StackState(folder=empty.folder, passwords=state.passwords)
        report(f"This folder was moved here from {Path(state.folder).parent}.")
        state.folder = empty.folder
        return state

    def save(self, state: StackState) -> None:
        """Replaces the file, mode 0600."""
        content = {
            "version": _VERSION,
            "folder": state.folder,
            "servers": {
                name: {
                    "pid": record.process.pid,
                    "created": record.process.created,
                    "port": record.port,
                    "arguments": list(record.arguments),
                }
                for name, record in state.servers.items()
            },
            "ports": state.ports,
            "passwords": state.passwords,
        }
        text = json.dumps(content, indent=2) + "\n"
        write_atomically(self.path, text.encode(), mode=0o600)


def _decoded(content: bytes) -> StackState:
    raw: dict[str, Any] = json.loads(content)
    if raw["version"] != _VERSION:
        raise ValueError(raw["version"])
    return StackState(
        folder=str(raw["folder"]),
        servers={
            str(name): ServerRecord(
                process=ProcessIdentity(pid=int(entry["pid"]), created=str(entry["created"])),
                port=int(entry["port"]),
                arguments=tuple(str(argument) for argument in entry["arguments"]),
            )
            for name, entry in raw["servers"].items()
        },
        ports={str(name): int(port) for name, port in raw["ports"].items()},
        passwords={str(role): str(password) for role, password in raw["passwords"].items()},
    )
