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

from taxi_platform.automation.failures import failure_of, will_be_retried
from taxi_platform.automation.jobs import REASON_TAG
from taxi_platform.automation.months import MonthRecords
from taxi_platform.trips.month import TripMonth

RUN_KEY_TAG = "dagster/run_key"
VERSION_TAG = "taxi/version"

MOST_REQUESTS = 25
"""How many runs one tick may request; the next tick requests the others."""

LONGEST_WAIT = 86_400.0


@dataclass(frozen=True)
class VersionState:
    """What a sensor has requested for a version of a month.

    Attributes:
        version: the latest version.
        requests: how many runs were requested for this month so far, for all versions.
        tries: how many of them were for this version.
        at: when the last was requested, in seconds since 1970.
        settled: whether nothing more will be requested for this version.
    """

    version: str
    requests: int = 0
    tries: int = 0
    at: float = 0.0
    settled: bool = False


class VersionLedger:
    """The state of each month's latest version, by partition key; a sensor's cursor."""

    def __init__(self, cursor: str | None) -> None:
        known = json.loads(cursor) if cursor else {}
        self._states = {key: VersionState(**entry) for key, entry in known.items()}

    def to_json(self) -> str:
        """The text that Dagster keeps as the cursor."""
        return json.dumps({key: asdict(state) for key, state in sorted(self._states.items())})

    def keep_only(self, keys: set[str]) -> None:
        """Removes all other months."""
        self._states = {key: state for key, state in self._states.items() if key in keys}

    def due(
        self,
        records: MonthRecords,
        offered: Mapping[TripMonth, str],
        is_loaded: Callable[[TripMonth, str], bool],
    ) -> list[RunRequest]:
        """The runs to request now; records them as requested.

        Args:
            records: the records of months and runs; their settings define how long to wait before
                a version is requested again after a transient fault.
            offered: the current version of each month.
            is_loaded: whether a version of a month is loaded, by whichever run.
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
            if is_loaded(month, version) or self._is_given_up(records.instance, month, version):
                self._settle(month, version)
            elif self._may_be_requested(month, version, first_wait):
                requested.append(self._request(month, version))
        return requested

    def _is_settled(self, month: TripMonth, version: str) -> bool:
        state = self._states.get(month.key)
        return state is not None and state.version == version and state.settled

    def _is_given_up(self, instance: DagsterInstance, month: TripMonth, version: str) -> bool:
        """Whether the last run for this version ended such that another would not help."""
        state = self._states.get(month.key)
        if state is None or state.version != version or not state.tries:
            return False
        chosen = RunsFilter(tags={RUN_KEY_TAG: _run_key(month, state)})
        run = next(iter(instance.get_runs(chosen, limit=1)), None)
        if run is None or run.status in (DagsterRunStatus.SUCCESS, DagsterRunStatus.CANCELED):
            return True
        return (
            run.status is DagsterRunStatus.FAILURE
            and not will_be_retried(run)
            and failure_of(instance, run).permanent
        )

    def _may_be_requested(self, month: TripMonth, version: str, first_wait: float) -> bool:
        state = self._states.get(month.key)
        if state is None or state.version != version or not state.tries:
            return True
        wait = min(first_wait * 2 ** (state.tries - 1), LONGEST_WAIT)
        return time.time() >= state.at + wait

    def _settle(self, month: TripMonth, version: str) -> None:
        state = self._states.get(month.key, VersionState(version))
        self._states[month.key] = replace(state, version=version, tries=0, settled=True)

    def _request(self, month: TripMonth, version: str) -> RunRequest:
        before = self._states.get(month.key)
        again = before is not None and before.version == version
        state = VersionState(
            version,
            requests=(before.requests if before else 0) + 1,
            tries=(before.tries if before and again else 0) + 1,
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


def tagged(requests: list[RunRequest], reason: str) -> list[RunRequest]:
    """The same requests, tagged with their reason."""
    return [
        request.with_replaced_attrs(tags={**request.tags, REASON_TAG: reason})
        for request in requests
    ]
