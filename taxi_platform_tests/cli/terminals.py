"""A terminal of a chosen width, on which a test runs a command as a person would."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

COMMAND = Path(sys.executable).with_name("taxi-platform")


def on_terminal(
    *arguments: str, environment: Mapping[str, str], columns: int, folder: Path | None = None
) -> tuple[int, bytes]:
    """Runs `taxi-platform` on a terminal; its exit code, and what the terminal received."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {name: value for name, value in environment.items() if name != "COLUMNS"}
    with subprocess.Popen(
        [COMMAND, *arguments],
        cwd=folder,
        env={"TERM": "xterm", **kept},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        received = bytearray()
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux's end of file: nobody has the terminal open any more
                break
            if not chunk:
                break
            received += chunk
    os.close(ours)
    return process.returncode, bytes(received).replace(b"\r\n", b"\n")
