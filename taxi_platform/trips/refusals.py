"""Explains why a file with too many rejected rows is refused, and what to do."""

from taxi_platform.trips.blocks import UNPARSEABLE
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.notes import About
from taxi_platform.trips.options import CleaningOptions
from taxi_platform.trips.rules import PICKUP_NEAR_MONTH
from taxi_platform.trips.summary import CleaningSummary


def too_many_rejected(
    name: str, month: TripMonth, summary: CleaningSummary, options: CleaningOptions
) -> str:
    """The error message, in one line.

    It suggests switching a rule off only if the file can be parsed and is of the right month,
    because users follow such suggestions.

    Args:
        name: the file's name.
        month: the file's month.
        summary: the summary of all its rows.
        options: the cleaning options.
    """
    limit = options.max_rejected_share
    found = (
        f"{name}: {summary.rows_rejected:,} of {summary.rows_read:,} rows "
        f"({summary.rejected_share:.1%}) would be rejected, more than the {limit:.1%} "
        f"allowed: {summary.describe_rejected()}."
    )
    return f"{found} {_what_to_do(month, summary)}"


def times_without_minutes(
    name: str, summary: CleaningSummary, options: CleaningOptions
) -> str | None:
    """The error message for a file whose times were cut to dates or hours; None for other files.

    Some programs write midnight as a date alone. Few trips begin or end at midnight.
    """
    for column, count in summary.notes.counts(About.NO_MINUTES).items():
        if count > summary.rows_read * options.max_rejected_share:
            return (
                f"{name}: {count:,} of {summary.rows_read:,} rows have a date without minutes in "
                f"{column}: write the times to the second (2024-01-31 18:05:00)"
            )
    return None


def _what_to_do(month: TripMonth, summary: CleaningSummary) -> str:
    first = summary.first_failure
    said = "" if first is None else f"The first is line {first.line_number:,}: {first.what}. "
    # Decide by the most common reason: the others may be consequences of it.
    reason, _ = summary.rejected_by_reason.most_common(1)[0]
    if reason == UNPARSEABLE:
        return f"{said}Correct how the file is written"
    # Pickups within a week of the month do not break that rule: a short file of a neighboring month
    # may break only others.
    elsewhere = summary.rejected_months.total() - summary.rejected_months[month.month]
    if reason == PICKUP_NEAR_MONTH.reason or 2 * elsewhere > summary.rows_rejected:
        return f"{said}{_other_month(month, summary)}"
    said += "".join(f"{unknown}. " for unknown in summary.notes.sentences(About.UNKNOWN_TEXT))
    return f"{said}If the file is right, raise max_rejected_share or switch the rule off"


def _other_month(month: TripMonth, summary: CleaningSummary) -> str:
    others = [(m, n) for m, n in summary.rejected_months.most_common() if m != month.month]
    if not others:
        return "Check the pickup times in the file"
    other, count = others[0]
    return (
        f"{count:,} of these pickups are in {other:%Y-%m}: check whether the file is of another "
        f"month than {month}, or its clocks are wrong"
    )
