"""Which workers are alive, and what they execute: in Dagster's storage, without a clock.

A worker counts its beats. Whoever reads them watches whether the count goes on, by a clock of its
own, so that the clocks of hosts may differ.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from dagster import DagsterInstance

BEAT_SECONDS = 2.0

DEAD_SECONDS = 20.0
"""A worker whose count stands still for so long is dead, or cannot be reached by anybody."""

LOST_SECONDS = 12.0
"""A run that no living worker has been executing for so long has died."""

FORGOTTEN_SECONDS = 86_400.0
"""A worker that was not seen for so long, by its own clock, is no longer listed."""

_NAMES = "taxi_platform/workers"


@dataclass(frozen=True)
class WorkerState:
    """What a worker says of itself.

    Attributes:
        name: of the worker: queue, process and host.
        queue: from which it takes runs.
        places: how many runs it executes at once.
        runs: the ids of the runs that it executes.
        is_draining: whether it takes no more runs.
        beat: a number that changes as long as it lives.
        at: seconds since 1970 by its own clock.
        broker: the mark of the broker from which it takes runs, if it knows it.
    """

    name: str
    queue: str
    places: int
    runs: Sequence[str] = ()
    is_draining: bool = False
    beat: int = 0
    at: float = 0.0
    broker: str | None = None


def report(instance: DagsterInstance, state: WorkerState) -> None:
    """Records what a worker says of itself."""
    storage = instance.daemon_cursor_storage
    known = _read(storage, [_NAMES]).get(_NAMES, [])
    # One at a time: SQLite's storage drops new entries beside old ones.
    storage.set_cursor_values({_key(state.name): json.dumps(asdict(state))})
    if state.name not in known:
        # Two workers that start together may overwrite this: the next beat adds it again.
        states = _states(storage, known)
        recent = [s.name for s in states if s.at > time.time() - FORGOTTEN_SECONDS]
        storage.set_cursor_values({_NAMES: json.dumps(sorted({*recent, state.name}))})


@dataclass(frozen=True)
class Sighting:
    """A worker as an observer sees it.

    Attributes:
        state: what it said last.
        quiet_seconds: for how long its count has stood still.
        has_beaten: whether the count went on since the observer first looked.
    """

    state: WorkerState
    quiet_seconds: float
    has_beaten: bool

    @property
    def is_dead(self) -> bool:
        """Whether it does not execute its runs any more."""
        return self.quiet_seconds > DEAD_SECONDS

    @property
    def takes_runs(self) -> bool:
        """Whether a run may be given to it."""
        return self.has_beaten and not self.is_dead and not self.state.is_draining

    def listens_to(self, broker: str | None) -> bool:
        """Whether it hears of what is sent through a broker; if that is not known, yes."""
        return None in (broker, self.state.broker) or broker == self.state.broker


def workers(instance: DagsterInstance) -> list[WorkerState]:
    """What all workers said last, also those that are gone."""
    storage = instance.daemon_cursor_storage
    return _states(storage, _read(storage, [_NAMES]).get(_NAMES, []))


class Observer:
    """Watches the workers from one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed: dict[str, tuple[int, float, bool]] = {}
        self._missed: dict[str, float] = {}

    def look(self, instance: DagsterInstance) -> list[Sighting]:
        """The workers as they are now."""
        now, found = self._clock(), []
        for state in workers(instance):
            beat, since, has_beaten = self._changed.get(state.name, (state.beat, now, False))
            if beat != state.beat:
                beat, since, has_beaten = state.beat, now, True
            self._changed[state.name] = beat, since, has_beaten
            found.append(Sighting(state, now - since, has_beaten))
        return found

    def why_dead(self, instance: DagsterInstance, run_id: str) -> str | None:
        """Why a started run has died, None if it may live."""
        executing = [s for s in self.look(instance) if run_id in s.state.runs]
        if any(not sighting.is_dead for sighting in executing):
            self._missed.pop(run_id, None)
            return None
        if executing:
            worker = executing[0]
            return (
                f"the worker {worker.state.name} has not been heard of for "
                f"{worker.quiet_seconds:.0f} s"
            )
        since = self._missed.setdefault(run_id, self._clock())
        if self._clock() - since < LOST_SECONDS:
            return None
        del self._missed[run_id]
        return "its process died: no worker is executing it"


def _key(name: str) -> str:
    return f"taxi_platform/worker/{name}"


def _read(storage: Any, keys: Sequence[str]) -> Mapping[str, Any]:
    found = storage.get_cursor_values(set(keys)) if keys else {}
    return {key: json.loads(value) for key, value in found.items()}


def _states(storage: Any, names: Sequence[str]) -> list[WorkerState]:
    found = _read(storage, [_key(name) for name in names])
    return [_state(found[_key(name)]) for name in names if _key(name) in found]


def _state(given: Mapping[str, Any]) -> WorkerState:
    # A later version may say more.
    return WorkerState(**{f.name: given[f.name] for f in fields(WorkerState) if f.name in given})
