"""Options of a cleaning run."""

from dataclasses import dataclass, field
from typing import Literal

from taxi_platform.trips.replacement import ReplacementLimits
from taxi_platform.trips.times import UtcTimes
from taxi_platform.trips.trip_type import TripType
from taxi_platform.trips.types import TRIP_TYPES, every_rule

PASSENGER_COUNT = "passenger_count"
"""The column that ``missing_passenger_count`` applies to. Not every trip type has it."""


@dataclass(frozen=True)
class CleaningOptions:
    """Options of a cleaning run.

    ``check`` verifies that they apply to the trip type; it is called when a file is opened.

    Attributes:
        rules: names of the rules to apply; None applies those on by default.
        days_outside_month: maximum number of days between a pickup and the file's month.
        missing_passenger_count: ``zero``, the default, replaces a missing count with 0; ``keep``
            leaves it null. For trip types without a passenger count, ``zero`` has no effect and
            ``keep`` is an error.
        max_rejected_share: the share of rejected rows, 0 to 1, above which the file is refused.
        utc_times: how to read times labeled UTC: as New York ``wall_time``, which is often labeled
            so, or ``convert`` them from UTC. Times in other zones are always converted.
        missing_columns: canonical columns that the file may lack although the files of its month
            have them.
        replacement: how much the month may differ from the loaded version.
        accept_replacement: whether to accept any difference.

    Raises:
        ValueError: a value is out of range, or a rule or column does not exist.
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
            raise ValueError(f"no rule named {', '.join(unknown)}; use {', '.join(known)}")
        if not 0 <= self.days_outside_month <= 36_500:
            raise ValueError(
                "days_outside_month must be between 0 and 36500; to keep pickups of any time, "
                "leave out the rule pickup_near_month"
            )
        if not 0 <= self.max_rejected_share <= 1:
            raise ValueError("max_rejected_share must be between 0 and 1")
        if self.missing_passenger_count not in ("zero", "keep"):
            raise ValueError("missing_passenger_count must be 'zero' or 'keep'")
        if self.utc_times not in ("wall_time", "convert"):
            raise ValueError("utc_times must be 'wall_time' or 'convert'")
        columns = {column.name for kind in TRIP_TYPES.values() for column in kind.columns}
        if unknown := sorted(set(self.missing_columns) - columns):
            raise ValueError(f"missing_columns: no column is named {', '.join(unknown)}")

    def check(self, kind: TripType) -> None:
        """Checks that the options apply to a trip type.

        Raises:
            ValueError: the type does not have one of the rules, or ``missing_passenger_count`` is
                ``keep`` and the type has no passenger count.
        """
        kind.rules_named(self.rules)
        if self.missing_passenger_count == "keep" and PASSENGER_COUNT not in kind.filled:
            raise ValueError(
                f"missing_passenger_count is 'keep', but {kind.name} trips have no passenger "
                "count: leave out the option"
            )
