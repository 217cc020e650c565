"""Compares a cleaned month with its loaded version, and with the months around it.

Expectations about a month by itself are in ``expectations``.
"""

from taxi_platform.landing.expectations import Verdict
from taxi_platform.landing.files import MonthVersions
from taxi_platform.landing.zone import LandingZone
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.replacement import unlike_neighbors


def accept_command(month: TripMonth) -> str:
    """The command that accepts a month's new version regardless of differences."""
    when = month.year_month
    return (
        f"taxi-platform backfill --color {month.color} --from {when} --to {when} "
        "--accept-replacement"
    )


def judge_replacement(versions: MonthVersions) -> Verdict:
    """Whether the latest version is similar enough to the accepted one to replace it."""
    latest, accepted = versions.latest, versions.accepted
    found = latest.differences_from(accepted) if accepted else []
    if accepted is None or not found:
        return Verdict(True, {"rows": latest.rows})
    return Verdict(
        False,
        {
            "differences": found,
            "rows_loaded": accepted.statistics["rows"],
            "rows_of_the_new_version": latest.rows,
            "cents_loaded": accepted.statistics["cents"],
            "cents_of_the_new_version": latest.statistics["cents"],
            "limits": latest.limits.to_json(),
            "new_version": str(latest.path),
            "to_accept_it": accept_command(latest.month),
        },
    )


def judge_beside_neighbors(zone: LandingZone, versions: MonthVersions) -> Verdict:
    """Whether the month has about as many rows as the neighboring months and years."""
    rows, around = versions.latest.rows, versions.month.neighbors
    neighbors = {m.key: a.statistics["rows"] for m in around if (a := zone.find_accepted(m))}
    odd = unlike_neighbors(rows, neighbors)
    facts = {"rows": rows, "rows_of_neighbors": neighbors}
    return Verdict(odd is None, facts | ({"differences": [odd]} if odd else {}))
