"""Why a file is refused of which too much is rejected: what was found, and what to do about it."""

from taxi_platform.trips.blocks import UNPARSEABLE
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.options import CleaningOptions
from taxi_platform.trips.rules import PICKUP_NEAR_MONTH
from taxi_platform.trips.summary import CleaningSummary


def too_many_rejected(
    name: str, month: TripMonth, summary: CleaningSummary, options: CleaningOptions
) -> str:
    """The refusal, in one line.

    Who is told to switch a rule off, does: that is not advised where the file is another month's,
    or cannot be read.

    Args:
        name: the file's.
        month: the month that it was taken as.
        summary: of all its rows.
        options: what was applied.
    """
    limit = options.max_rejected_share
    found = (
        f"{name}: {summary.rows_rejected:,} of {summary.rows_read:,} rows "
        f"({summary.rejected_share:.1%}) would be rejected, more than the {limit:.1%} "
        f"allowed: {summary.describe_rejected()}."
    )
    return f"{found} {_what_to_do(month, summary)}"


def _what_to_do(month: TripMonth, summary: CleaningSummary) -> str:
    first = summary.first_failure
    said = "" if first is None else f"Line {first.line_number:,} is the first: {first.what}. "
    # The commonest reason decides: what else there is may be a consequence of it.
    reason, _ = summary.rejected_by_reason.most_common(1)[0]
    if reason == UNPARSEABLE:
        return f"{said}Look at how the file was written, and mend that"
    if reason == PICKUP_NEAR_MONTH.reason:
        return f"{said}{_other_month(month, summary)}"
    return f"{said}If the file is right, raise max_rejected_share or switch the rule off"


def _other_month(month: TripMonth, summary: CleaningSummary) -> str:
    others = [(m, n) for m, n in summary.rejected_months.most_common() if m != month.month]
    if not others:
        return "Look at the pickup times of the file"
    other, count = others[0]
    return (
        f"{count:,} of these pickups lie in {other:%Y-%m}: look at whether the file is that of "
        f"another month, or its clocks are wrong; {month} is not in it"
    )
