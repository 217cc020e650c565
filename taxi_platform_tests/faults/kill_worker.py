"""Materializes months in processes that kill themselves at a given point.

A program that imports the platform once and forks for each order, one JSON line on its standard
input: ``{"partition": …, "what": "trips", "kill": [[function, event, nth], …]}``, or ``marts``. It
answers with the exit status of the fork. A function is ``module:qualified name``; the events of the
list must happen in its order,
and at the last one the process gets SIGKILL from itself: no handler, no cleaning up.
"""

import json
import os
import signal
import sys
import threading
import traceback
from types import FrameType
from typing import Any

from dagster import AssetSelection, DagsterInstance, materialize

from taxi_platform.assets.marts import GROUP, mart_assets
from taxi_platform.assets.trips import trip_assets
from taxi_platform.checks.marts import mart_checks
from taxi_platform.checks.reconciliation import trip_checks
from taxi_platform.definitions import build_resources
from taxi_platform.marts.definitions import MARTS
from taxi_platform.settings import load_settings

_MARTS = AssetSelection.groups(GROUP)

SELECTIONS = {
    "marts": _MARTS | AssetSelection.checks_for_assets(*(f"postgres_{m}" for m in MARTS)),
    "trips": (AssetSelection.all() - _MARTS).without_checks()
    | AssetSelection.checks_for_assets(
        *("cleaned_trips", "gcs_trips", "bigquery_trips", "postgres_trips")
    ),
}


class Killer:
    """A profiler that counts the given events, one after another."""

    def __init__(self, steps: list[tuple[str, str, int]]) -> None:
        self._steps = list(steps)
        self._seen = 0

    def __call__(self, frame: FrameType, event: str, _arg: object) -> None:
        function, awaited, nth = self._steps[0]
        module, _, name = function.partition(":")
        if event != awaited or frame.f_code.co_qualname != name:
            return
        if frame.f_globals.get("__name__") != module:
            return
        self._seen += 1
        if self._seen < nth:
            return
        self._seen = 0
        self._steps.pop(0)
        if not self._steps:
            os.kill(os.getpid(), signal.SIGKILL)


def run(partition: str, what: str, kill: list[tuple[str, str, int]]) -> int:
    if kill:
        killer: Any = Killer(kill)
        threading.setprofile(killer)
        sys.setprofile(killer)
    with DagsterInstance.ephemeral() as instance:
        chosen = load_settings()
        result = materialize(
            [
                *(*trip_assets(chosen), *trip_checks(chosen)),
                *(*mart_assets(chosen), *mart_checks(chosen)),
            ],
            selection=SELECTIONS[what],
            partition_key=partition,
            resources=build_resources(chosen),
            instance=instance,
            raise_on_error=False,
        )
    return 0 if result.success else 1


def main() -> None:
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = run(
                    order["partition"], order["what"], [tuple(step) for step in order["kill"]]
                )
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, waited = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(waited), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
