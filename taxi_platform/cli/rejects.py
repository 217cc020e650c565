"""What `taxi-platform rejects` shows: rejected rows of the loaded month, and of a refused file."""

from typing import Any

from taxi_platform.errors import PermanentStoreError
from taxi_platform.io_managers.failures import next_step
from taxi_platform.landing.zone import LandingZone
from taxi_platform.trips.month import TripMonth


def find_rejects(zone: LandingZone, month: TripMonth, examples: int) -> dict[str, Any]:
    """The rejected rows of a month by reason, in JSON's own types.

    Args:
        zone: where they lie.
        month: color and month.
        examples: rows of each reason.

    Returns:
        Of the loaded month, ``rows_read``, ``rejected_by_reason``, ``examples`` and ``path``, left
        out if none is loaded; and the same of a file that was refused since, with the ``message``,
        under ``refused``, which is None if none was.

    Raises:
        PermanentStoreError: neither is there, or one cannot be read.
    """
    refused = zone.find_refusal(month)
    found: dict[str, Any] = {"partition": month.key}
    try:
        trips = zone.find_cleaned(month)
    except PermanentStoreError as error:
        if refused is None:
            raise PermanentStoreError(f"{error}, with: {next_step(month)}") from error
    else:
        found |= {
            "rows_read": trips.rows_read,
            "rejected_by_reason": trips.rejected_by_reason,
            "examples": zone.reject_examples(month, examples),
            "path": str(trips.rejects_path),
        }
    if refused is None:
        return found | {"refused": None}
    return found | {
        "refused": {
            "message": refused.message,
            "rows_read": refused.rows_read,
            "rejected_by_reason": refused.rejected_by_reason,
            "examples": zone.reject_examples(month, examples, refused=True),
            "path": str(refused.path),
        }
    }


def describe_rejects(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = []
    if "rows_read" in found:
        lines += _describe(f"{found['partition']}: ", found)
    if (refused := found["refused"]) is not None:
        lines += [""] if lines else []
        lines += [f"{found['partition']}: REFUSED and not loaded: {refused['message']}"]
        lines += _describe("of the refused file, ", refused)
    return "\n".join(lines)


def _describe(prefix: str, part: dict[str, Any]) -> list[str]:
    reasons = part["rejected_by_reason"]
    lines = [f"{prefix}{sum(reasons.values()):,} of {part['rows_read']:,} rows rejected"]
    for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
        lines.append(f"\n{reason}: {count:,}")
        lines += [
            f"  line {row['line_number']}: {row['text']}"
            for row in part["examples"].get(reason, [])
        ]
    return [*lines, f"\nAll of them are in {part['path']}"]
