"""Compares a cleaned month with its loaded version, and with the months around it.

Expectations about a month by itself are in ``expectations``.
"""

from taxi_platform.landing.expectations import Verdict
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.zone import LandingZone
from taxi_platform.trips.replacement import unlike_neighbours


def accept_command(trips: TripParquet) -> str:
    """The command that accepts a month's new version despite its differences."""
    when = trips.month.year_month
    return (
        f"taxi-platform backfill --color {trips.month.color} --from {when} --to {when} "
        "--accept-replacement"
    )


def judge_replacement(zone: LandingZone, trips: TripParquet) -> Verdict:
    """Whether the month's latest version replaced the loaded one.

    Args:
        zone: the landing zone, which stores a refused version separately.
        trips: the version that is in use.
    """
    refused = zone.find_refused(trips.month)
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
    """Whether the month has about as many rows as the months and years around it."""
    neighbours = {
        m.key: z.rows for m in trips.month.neighbours if (z := zone.find_cleaned_or_none(m))
    }
    odd = unlike_neighbours(trips.rows, neighbours)
    facts = {"rows": trips.rows, "rows_of_neighbours": neighbours}
    return Verdict(odd is None, facts | ({"differences": [odd]} if odd else {}))


def _dollars(trips: TripParquet) -> dict[str, float]:
    return {name: cents / 100 for name, cents in trips.totals.cents.items()}
