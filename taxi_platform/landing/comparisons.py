"""A cleaned month beside others: the version that is loaded, and the months around it.

What is expected of a month by itself is in ``expectations``.
"""

from taxi_platform.landing.expectations import Verdict
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.zone import LandingZone
from taxi_platform.trips.replacement import unlike_neighbours


def accept_command(trips: TripParquet) -> str:
    """The command that accepts a month's new version however it differs."""
    when = trips.month.year_month
    return (
        f"taxi-platform backfill --color {trips.month.color} --from {when} --to {when} "
        "--accept-replacement"
    )


def judge_replacement(zone: LandingZone, trips: TripParquet) -> Verdict:
    """Whether the month's latest version took the place of the one that was loaded.

    Args:
        zone: the landing zone, where a refused version is kept apart.
        trips: the version that is in place.
    """
    refused = zone.find_unaccepted(trips.month)
    if refused is None:
        return Verdict(True, {"rows": trips.rows})
    return Verdict(
        False,
        {
            "differences": refused.differences_from(trips),
            "rows_loaded": trips.rows,
            "rows_of_the_new_version": refused.rows,
            "dollars_loaded": _dollars(trips),
            "dollars_of_the_new_version": _dollars(refused),
            "limits": refused.limits.to_json(),
            "new_version": str(refused.path),
            "to_accept_it": accept_command(trips),
        },
    )


def judge_beside_neighbours(zone: LandingZone, trips: TripParquet) -> Verdict:
    """Whether the month has about the rows of the months around it and of the years around it."""
    neighbours = {
        m.key: z.rows for m in trips.month.neighbours if (z := zone.find_cleaned_or_none(m))
    }
    odd = unlike_neighbours(trips.rows, neighbours)
    facts = {"rows": trips.rows, "rows_of_neighbours": neighbours}
    return Verdict(odd is None, facts | ({"differences": [odd]} if odd else {}))


def _dollars(trips: TripParquet) -> dict[str, float]:
    return {name: cents / 100 for name, cents in trips.totals.cents.items()}
