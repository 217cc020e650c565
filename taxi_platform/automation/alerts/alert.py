"""An alert, and what it tells people to do."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from taxi_platform.trips.month import TripMonth


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes:
        kind: what it reports.
        subject: the partition; for a run without one, its assets or its job; for a tick, its
            sensor.
        headline: what happened and where, in one line.
        detail: the error message; may be empty.
        remedy: what to do; may be empty.
        path: the page of Dagster's UI that shows it, such as ``/runs/…``.
    """

    kind: Literal["failed", "check failed", "overdue", "recovered"]
    subject: str
    headline: str
    detail: str
    remedy: str
    path: str


def page_of(month: TripMonth) -> str:
    """The page of a month in Dagster's UI."""
    return f"/assets/raw_trips?view=partitions&partition={quote(month.key)}"
