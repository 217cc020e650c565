"""What is loaded, at a glance: one small asset without partitions, from Dagster's own records.

The UI's plots of a partitioned asset end at its last 120 partitions and mix the colors.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetRecordsFilter,
    AssetsDefinition,
    DagsterEventType,
    DagsterInstance,
    MaterializeResult,
    MetadataValue,
    TableRecord,
    asset,
)

from taxi_platform.assets.keys import CLEANED, GCS, LOADED, table_key, trip_keys
from taxi_platform.assets.records import RECORDS_AT_A_TIME, metadata_of
from taxi_platform.assets.report import follows
from taxi_platform.assets.trips import OWNERS
from taxi_platform.io_managers.metadata import SOURCE
from taxi_platform.io_managers.trends import sparkline
from taxi_platform.printable import counted
from taxi_platform.settings import Settings
from taxi_platform.sources.address import is_synthetic
from taxi_platform.trips.month import TripMonth

MOST_MONTHS = 36
"""How many of a color's last months a trend shows."""


@dataclass(frozen=True)
class LoadedMonth:
    """A month that every store has, as its cleaning recorded it.

    Attributes:
        rows: rows kept.
        rejected: rows rejected.
        revenue: sum of the totals in US dollars; None if the trips have no such column.
        is_synthetic: whether it was generated, so that no row is real.
    """

    rows: int
    rejected: int
    revenue: float | None
    is_synthetic: bool

    @property
    def rejected_share(self) -> float:
        """The share of the rows read that was rejected, 0 to 1."""
        return self.rejected / (self.rows + self.rejected) if self.rejected else 0.0


def loaded_months(instance: DagsterInstance, chosen: Settings) -> dict[TripMonth, LoadedMonth]:
    """The months that all stores have, by Dagster's records; in order.

    A later version that was cleaned, but that no store was loaded from, does not count.
    """
    _, _, *in_stores = (
        instance.event_log_storage.get_latest_storage_id_by_partition(
            key, DagsterEventType.ASSET_MATERIALIZATION
        )
        for key in trip_keys(chosen)
    )
    everywhere = set.intersection(*map(set, in_stores))
    loaded_at = {key: max(latest[key] for latest in in_stores) for key in everywhere}
    found: dict[TripMonth, LoadedMonth] = {}
    cursor: str | None = None
    while len(found) < len(loaded_at):
        page = instance.fetch_materializations(
            AssetRecordsFilter(CLEANED), limit=RECORDS_AT_A_TIME, cursor=cursor
        )
        for record in page.records:
            month = record.partition_key
            if month is None or record.storage_id > loaded_at.get(month, -1):
                continue
            found.setdefault(TripMonth.from_key(month), _loaded(metadata_of(record)))
        if not page.has_more:
            break
        cursor = page.cursor
    return dict(sorted(found.items()))


def _loaded(said: Mapping[str, Any]) -> LoadedMonth:
    rows = int(said["dagster/row_count"])
    return LoadedMonth(
        rows=rows,
        rejected=int(said["rows_read"]) - rows,
        revenue=said.get("total_amount"),
        is_synthetic=is_synthetic(said.get(SOURCE)),
    )


def loaded_months_assets(chosen: Settings) -> list[AssetsDefinition]:
    """The asset that shows them."""

    def loaded_months_at_a_glance(context: AssetExecutionContext) -> MaterializeResult[Any]:
        """The months that every store has: a trend of rows, rejects and revenue for each color.

        `taxi-platform status` asks the stores themselves, and shows what is missing.
        """
        months = loaded_months(context.instance, chosen)
        metadata: dict[str, Any] = {
            "months": len(months),
            "rows": sum(month.rows for month in months.values()),
            "synthetic_months": sum(month.is_synthetic for month in months.values()),
        }
        for color in chosen.colors:
            mine = {m: loaded for m, loaded in months.items() if m.color == color}
            metadata[color] = MetadataValue.md(trend(mine) if mine else "no month is loaded")
        if months:
            metadata["every_month"] = MetadataValue.table(list(_records(months.items())))
        return MaterializeResult(metadata=metadata)

    made = asset(
        key=LOADED,
        deps=[table_key(store) for store in chosen.table_stores] or [GCS],
        group_name="report",
        kinds={"dagster"},
        owners=OWNERS,
        automation_condition=follows("follows_the_trips"),
    )(loaded_months_at_a_glance)
    return [made]


def trend(months: Mapping[TripMonth, LoadedMonth]) -> str:
    """The trend of a color's months as Markdown of less than 1,000 characters, which is shown.

    Args:
        months: at least one, in order.
    """
    span = _span(list(months)[-MOST_MONTHS:])
    shown = [months.get(month) for month in span]
    last = months[span[-1]]
    synthetic = sum(month.is_synthetic for month in months.values())
    said = f"**{counted(len(months), 'month')}**"
    if synthetic and len(months) == 1:
        said += ", synthetic"
    elif synthetic:
        said += f", {'all' if synthetic == len(months) else synthetic} of them synthetic"
    when = f"{span[0].year_month} to {span[-1].year_month}, the last"
    lines = [
        f"{said}; {when if len(span) > 1 else span[0].year_month}:",
        _line("rows", [m.rows if m else None for m in shown], f"{last.rows:,}"),
        _line(
            "rejected",
            [m.rejected_share if m else None for m in shown],
            f"{last.rejected_share:.2%}",
        ),
    ]
    if last.revenue is not None:
        revenue = [m.revenue if m else None for m in shown]
        lines.append(_line("revenue", revenue, f"${last.revenue:,.0f}"))
    return "\n\n".join(lines)


def _line(name: str, values: Sequence[float | None], last: str) -> str:
    return f"`{sparkline(values)}` {name}: {last}"


def _span(months: Sequence[TripMonth]) -> list[TripMonth]:
    """The months from the first to the last, also those between that are not loaded; the last."""
    span = [months[0]]
    while span[-1] < months[-1]:
        span.append(TripMonth(span[-1].color, span[-1].following))
    return span[-MOST_MONTHS:]


def _records(months: Iterable[tuple[TripMonth, LoadedMonth]]) -> Iterable[TableRecord]:
    for month, loaded in months:
        yield TableRecord(
            {
                "month": month.year_month,
                "color": month.color,
                "rows": loaded.rows,
                "rejected": loaded.rejected,
                "revenue": round(loaded.revenue) if loaded.revenue is not None else "",
                "source": "synthetic" if loaded.is_synthetic else "published",
            }
        )
