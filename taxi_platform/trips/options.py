"""What a run may choose about cleaning. What comes of the choices does not belong here."""

from dataclasses import dataclass, field
from typing import Literal

from taxi_platform.trips.replacement import ReplacementLimits
from taxi_platform.trips.times import UtcTimes
from taxi_platform.trips.trip_type import TripType
from taxi_platform.trips.types import TRIP_TYPES, every_rule

PASSENGER_COUNT = "passenger_count"
"""The column that ``missing_passenger_count`` is about; not every kind of trip has it."""


@dataclass(frozen=True)
class CleaningOptions:
    """What a run may choose about cleaning.

    Whether the rules are those of the kind of trip is seen when a file is opened: ``check``.

    Attributes:
        rules: names of the rules to apply; None means those on by default.
        days_outside_month: how far outside the file's month a pickup may lie.
        missing_passenger_count: ``zero`` writes 0 for a missing count, ``keep`` leaves it null.
            ``zero``, the default, means nothing for trips without a passenger count; ``keep`` is
            refused for them.
        max_rejected_share: the share of rows, 0 to 1, above which the file is refused.
        utc_times: how times are read that are labelled UTC: as ``wall_time`` of New York, which is
            often labelled so, or as UTC, to ``convert``. Those of any other zone are converted.
        missing_columns: canonical columns that the file may lack, though the files of its month
            have them.
        replacement: how far the month may differ from the version that is loaded.
        accept_replacement: whether it may differ however far.

    Raises:
        ValueError: a value is out of range, or no rule or column of any kind of trip has one of
            the names.
    """

    rules: tuple[str, ...] | None = None
    days_outside_month: int = 7
    missing_passenger_count: Literal["zero", "keep"] = "zero"
    max_rejected_share: float = 0.05
    utc_times: UtcTimes = "wall_time"
    missing_columns: tuple[str, ...] = ()
    replacement: ReplacementLimits = field(default_factory=ReplacementLimits)
    accept_replacement: bool = False

    def __post_init__(self) -> None:
        known = sorted({rule.name for rule in every_rule()})
        if unknown := sorted(set(self.rules or ()) - set(known)):
            raise ValueError(f"no rule named {', '.join(unknown)}; there are {', '.join(known)}")
        if not 0 <= self.days_outside_month <= 36_500:
            raise ValueError(
                "days_outside_month must lie between 0 and 36500; to keep pickups of any time, "
                "leave out the rule pickup_near_month"
            )
        if not 0 <= self.max_rejected_share <= 1:
            raise ValueError("max_rejected_share must lie between 0 and 1")
        if self.missing_passenger_count not in ("zero", "keep"):
            raise ValueError("missing_passenger_count must be 'zero' or 'keep'")
        if self.utc_times not in ("wall_time", "convert"):
            raise ValueError("utc_times must be 'wall_time' or 'convert'")
        columns = {column.name for kind in TRIP_TYPES.values() for column in kind.columns}
        if unknown := sorted(set(self.missing_columns) - columns):
            raise ValueError(f"missing_columns: no column is named {', '.join(unknown)}")

    def check(self, kind: TripType) -> None:
        """Refuses what does not apply to a kind of trip.

        Raises:
            ValueError: it lacks one of the rules, or a missing passenger count is to be kept and
                it has none.
        """
        kind.rules_named(self.rules)
        if self.missing_passenger_count == "keep" and PASSENGER_COUNT not in kind.filled:
            raise ValueError(
                f"missing_passenger_count is 'keep', but {kind.name} trips have no passenger count "
                "that would be filled: leave the option out"
            )
