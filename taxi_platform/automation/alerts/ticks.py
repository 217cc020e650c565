"""Alerts about ticks: of sensors and schedules that fail, and of cursors that could not be read.

A red tick starts no run, so nothing but the tick itself tells of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dagster import DagsterInstance

from taxi_platform.automation.alerts.alert import Alert
from taxi_platform.automation.requests import started_anew
from taxi_platform.dagster_internals import LastTick, last_ticks

PATIENCE = 3
"""How often in a row the code server must have been out of reach: it restarts with each version."""

RECENT_SECONDS = 86_400.0
"""Older red ticks are those of sensors that no longer exist."""

PATH = "/automation"


@dataclass(frozen=True)
class TickReports:
    """What has been reported about ticks.

    Attributes:
        red: sensors and schedules whose last tick failed.
        anew: when each sensor's cursor was found to be unreadable.
    """

    red: tuple[str, ...] = ()
    anew: Mapping[str, str] = field(default_factory=dict)


def tick_alerts(
    instance: DagsterInstance, reported: TickReports, own: str, now: datetime
) -> tuple[list[Alert], TickReports]:
    """The alerts about ticks to send now, and what has then been reported.

    Args:
        instance: with the ticks.
        reported: what has been reported so far.
        own: the sensor that asks. Its ticks are red until it has delivered this.
        now: the current time.
    """
    alerts: list[Alert] = []
    red = set(reported.red)
    anew = dict(reported.anew)
    for tick in last_ticks(instance):
        if tick.name == own:
            continue
        if tick.is_red and tick.name not in red and _matters(tick, now):
            red.add(tick.name)
            alerts.append(_failed(tick))
        elif not tick.is_red and tick.name in red:
            red.discard(tick.name)
            alerts.append(_recovered(tick))
        when = started_anew(tick.cursor)
        if when is not None and anew.get(tick.name) != when:
            anew[tick.name] = when
            alerts.append(lost_cursor(tick.name))
    return alerts, TickReports(tuple(sorted(red)), anew)


def lost_cursor(sensor: str) -> Alert:
    """The alert about a cursor that could not be read."""
    return Alert(
        kind="failed",
        subject=sensor,
        headline=f"{sensor}: its cursor could not be read, and it started anew",
        detail="What is loaded is not loaded again. Of alerts, those of runs that ended before may "
        "be missing.",
        remedy="Check the last runs in the UI. If nobody changed the cursor, check the database.",
        path=PATH,
    )


def _matters(tick: LastTick, now: datetime) -> bool:
    recent = tick.at > now.timestamp() - RECENT_SECONDS
    return recent and (not tick.is_unreachable or tick.failures >= PATIENCE)


def _failed(tick: LastTick) -> Alert:
    return Alert(
        kind="failed",
        subject=tick.name,
        headline=f"{tick.name}: its tick failed, so it requests no runs",
        detail=tick.said,
        remedy="Its page in the UI shows the error; run 'taxi-platform doctor'. It tries again by "
        "itself.",
        path=PATH,
    )


def _recovered(tick: LastTick) -> Alert:
    return Alert(
        kind="recovered",
        subject=tick.name,
        headline=f"{tick.name}: its ticks succeed again",
        detail="",
        remedy="",
        path=PATH,
    )
