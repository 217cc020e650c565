"""The runs that a sensor requests: one for each version of a month, and retries if they may help.

Both sensors find versions of months, as published files or as objects in GCS, and must load each
that is not loaded yet. The cursor records what they have requested. Dagster's run keys are not
enough for that: they are valid forever, so a version that comes back would be dropped, and a run
that failed because the source was down would never be requested again.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from dagster import DagsterInstance, DagsterRunStatus, RunRequest, RunsFilter
from pydantic import TypeAdapter

from taxi_platform.automation.failures import failure_of, will_be_retried
from taxi_platform.automation.jobs import REASON_TAG
from taxi_platform.automation.months import VERSION_TAG, MonthRecords
from taxi_platform.trips.month import TripMonth

RUN_KEY_TAG = "dagster/run_key"

MOST_REQUESTS = 25
"""How many runs one tick may request; the next tick requests the others."""

LONGEST_WAIT = 86_400.0

AT_ONCE = 2
"""How many requests of a month in a row, without a load, are not delayed: from then on its version
changes too often to be news."""

RESUME_AT = "resume at"
STARTED_ANEW = "started anew"
_NOTES = (RESUME_AT, STARTED_ANEW)
"""Entries of the cursor that are no months. They look like one, because the cursor of a version is
also read by the version before it, which forgets entries that it does not know."""


@dataclass(frozen=True)
class VersionState:
    """What a sensor has requested for a version of a month.

    Attributes:
        version: the latest version.
        requests: how many runs were requested for this month so far, for all versions.
        tries: how many in a row have not led to a load.
        at: when the last was requested, in seconds since 1970.
        settled: whether nothing more will be requested for this version.
    """

    version: str
    requests: int = 0
    tries: int = 0
    at: float = 0.0
    settled: bool = False


_ENTRIES = TypeAdapter(dict[str, VersionState])


class VersionLedger:
    """The state of each month's latest version, by partition key; a sensor's cursor.

    A cursor that cannot be read is given up, instead of failing every tick from then on. What is
    loaded is not requested again all the same, and the alerts report it.
    """

    def __init__(self, cursor: str | None) -> None:
        try:
            known = _ENTRIES.validate_python(json.loads(cursor) if cursor else {})
        except ValueError:
            known = {STARTED_ANEW: VersionState(f"{time.time():.0f}")}
        self._notes = {name: known.pop(name).version for name in _NOTES if name in known}
        self._states = known

    def to_json(self) -> str:
        """The text that Dagster keeps as the cursor."""
        notes = {name: VersionState(text) for name, text in self._notes.items()}
        entries = {**self._states, **notes}
        return json.dumps({key: asdict(state) for key, state in sorted(entries.items())})

    @property
    def resume_at(self) -> str | None:
        """The partition key of the month to ask for first, None for the newest."""
        return self._notes.get(RESUME_AT)

    @resume_at.setter
    def resume_at(self, key: str | None) -> None:
        self._notes.pop(RESUME_AT, None)
        if key is not None:
            self._notes[RESUME_AT] = key

    def keep_only(self, keys: set[str]) -> None:
        """Removes all other months."""
        self._states = {key: state for key, state in self._states.items() if key in keys}

    def due(
        self,
        records: MonthRecords,
        offered: Mapping[TripMonth, str],
        is_loaded: Callable[[TripMonth, str], bool],
        is_same: Callable[[TripMonth], bool] = lambda _month: False,
    ) -> list[RunRequest]:
        """The runs to request now; records them as requested.

        Args:
            records: the records of months and runs; their settings define how long to wait before
                a version is requested again after a transient fault.
            offered: the current version of each month.
            is_loaded: whether a version of a month is loaded, by whichever run.
            is_same: whether a month was loaded again lately, only to find the same content.
        """
        open_ones = {
            month: version
            for month, version in offered.items()
            if not self._is_settled(month, version)
        }
        # A queued or running run of a month may be loading this very version: wait for its end.
        busy = records.running(open_ones)
        first_wait = records.chosen.request_again_seconds
        requested: list[RunRequest] = []
        for month, version in open_ones.items():
            if len(requested) == MOST_REQUESTS:
                break
            if month in busy:
                continue
            if is_loaded(month, version):
                self._settle(month, version, tries=0)
                continue
            is_over, tries = self._outcome(records.instance, month)
            if is_over and self._states[month.key].version == version:
                self._settle(month, version, tries)
            elif self._may_be_requested(month, version, tries, first_wait) and not is_same(month):
                requested.append(self._request(month, version, tries))
        return requested

    def _is_settled(self, month: TripMonth, version: str) -> bool:
        state = self._states.get(month.key)
        return state is not None and state.version == version and state.settled

    def _outcome(self, instance: DagsterInstance, month: TripMonth) -> tuple[bool, int]:
        """What came of the last request of a month.

        Returns:
            Whether another for the same version would be useless, and how many requests in a row
            have not led to a load.
        """
        state = self._states.get(month.key)
        if state is None or not state.tries:
            return False, 0
        chosen = RunsFilter(tags={RUN_KEY_TAG: _run_key(month, state)})
        run = next(iter(instance.get_runs(chosen, limit=1)), None)
        if run is None or run.status in (DagsterRunStatus.SUCCESS, DagsterRunStatus.CANCELED):
            return True, 0
        failed_for_good = (
            run.status is DagsterRunStatus.FAILURE
            and not will_be_retried(run)
            and failure_of(instance, run).permanent
        )
        return failed_for_good, state.tries

    def _may_be_requested(
        self, month: TripMonth, version: str, tries: int, first_wait: float
    ) -> bool:
        state = self._states.get(month.key)
        if state is None or not tries or (state.version != version and tries < AT_ONCE):
            return True
        wait = min(first_wait * 2 ** min(tries - 1, 30), LONGEST_WAIT)
        return time.time() >= state.at + wait

    def _settle(self, month: TripMonth, version: str, tries: int) -> None:
        state = self._states.get(month.key, VersionState(version))
        self._states[month.key] = replace(state, version=version, tries=tries, settled=True)

    def _request(self, month: TripMonth, version: str, tries: int) -> RunRequest:
        before = self._states.get(month.key, VersionState(version))
        # After a day, another version is news again.
        lately = time.time() < before.at + LONGEST_WAIT or before.version == version
        state = VersionState(
            version,
            requests=before.requests + 1,
            tries=(tries if lately else 0) + 1,
            at=time.time(),
        )
        self._states[month.key] = state
        return RunRequest(
            run_key=_run_key(month, state),
            partition_key=month.key,
            tags={VERSION_TAG: version},
        )


def _run_key(month: TripMonth, state: VersionState) -> str:
    # With the number of the request, so that a version that comes back gets a new key.
    return f"{month.key} {state.version} {state.requests}"


def started_anew(cursor: str | None) -> str | None:
    """When a sensor's cursor could not be read, if it is a ledger that had to start anew."""
    try:
        entry = json.loads(cursor or "{}")[STARTED_ANEW]
    except (ValueError, TypeError, KeyError):
        return None
    return str(entry["version"]) if isinstance(entry, dict) and "version" in entry else None


def tagged(requests: list[RunRequest], reason: str) -> list[RunRequest]:
    """The same requests, tagged with their reason."""
    return [
        request.with_replaced_attrs(tags={**request.tags, REASON_TAG: reason})
        for request in requests
    ]
