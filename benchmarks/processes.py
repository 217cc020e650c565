"""One contender's process: watched from outside, for how long it runs and what memory it takes."""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 0.02
FAMILY_SECONDS = 0.5
RUN_SECONDS = 900

SAID = '{"seconds": '
"""The start of the line with the measurements of a contender's process."""


Facts = dict[str, float]


class ContestError(Exception):
    """A contender failed; the message has its last output."""


def watch(command: Sequence[str]) -> Facts:
    """Runs a command to its end.

    Returns:
        ``seconds`` and ``peak_mb``; ``own_peak_mb`` where it started other processes; and what a
        process of ``python -m benchmarks … --contender`` says of itself.

    Raises:
        ContestError: it failed.
    """
    # In an empty folder: the user's own .env in the project is not for these processes.
    with tempfile.TemporaryDirectory() as folder:
        return _watch_in(folder, command)


def _watch_in(folder: str, command: Sequence[str]) -> Facts:
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    family = _Family(process.pid)
    lines: list[str] = []
    try:
        with _End(process) as end, _Reader(process, lines):
            family.sample()
            while not end.reached_in(SAMPLE_SECONDS):
                family.sample()
                if time.perf_counter() - start > RUN_SECONDS:
                    raise ContestError(f"{' '.join(command)} did not end in {RUN_SECONDS} s")
            seconds = end.moment - start
    finally:
        family.end()
        process.wait()
    if process.returncode != 0:
        raise ContestError(f"{' '.join(command)} failed:\n" + "".join(lines[-30:]))
    said: Facts = {}
    if "--contender" in command:
        # Others may have the last word: a warning at exit.
        said = json.loads(next(line for line in reversed(lines) if line.startswith(SAID)))
    facts = {"seconds": seconds, "peak_mb": family.peak / 2**20}
    if family.had_children:
        facts["own_peak_mb"] = family.own_peak / 2**20
    return facts | said


class _Reader:
    """Reads what a process prints while it runs, so that a full pipe does not block it."""

    def __init__(self, process: "subprocess.Popen[str]", lines: list[str]) -> None:
        assert process.stdout is not None
        self._stdout = process.stdout
        self._thread = threading.Thread(target=lines.extend, args=[self._stdout], daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        if not self._thread.is_alive():
            self._stdout.close()


class _End:
    """Waits for a process: measures the moment of its end, not of the check."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self.moment = 0.0

    def _wait(self) -> None:
        self._process.wait()
        self.moment = time.perf_counter()

    def reached_in(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def __enter__(self) -> "_End":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves the thread, which ends with the process."""


class _Family:
    """The peak resident memory of a process and its children.

    The kernel's own high-water mark of the process, or the largest sum that was seen of it and its
    children together, whichever is more. A page that two of them share counts twice.
    """

    def __init__(self, pid: int) -> None:
        self._processes = [psutil.Process(pid)]
        self._looked = time.monotonic()
        self.peak = self.own_peak = 0
        self.had_children = False

    def sample(self) -> None:
        if time.monotonic() - self._looked > FAMILY_SECONDS:
            self._look()
        self.own_peak = max(self.own_peak, _mark(self._processes[0]))
        self.peak = max(self.peak, self.own_peak, sum(map(_resident, self._processes)))

    def _look(self) -> None:
        first = self._processes[0]
        try:
            self._processes = [first, *first.children(recursive=True)]
        except psutil.Error:
            self._processes = [first]
        self._looked = time.monotonic()
        self.had_children = self.had_children or len(self._processes) > 1

    def end(self) -> None:
        """Ends remaining processes, of which there are none unless something failed."""
        self._look()
        for process in self._processes:
            try:
                process.kill()
            except psutil.Error:
                continue


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _mark(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status")
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
