"""The demo's result: what the platform reports, what the stores contain, and how both are shown."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from taxi_platform.cli.terminal import print_folded
from taxi_platform.settings import Settings, load_settings
from taxi_platform.stores.answers import first_rows
from taxi_platform.stores.base import StoreType
from taxi_platform.trips.month import TripMonth

LOOKS = {
    "Trips by day": "SELECT CAST(pickup_datetime AS DATE) AS day, COUNT(*) AS trips, "
    "CAST(SUM(total_amount) AS BIGINT) AS dollars "
    "FROM trips.green_trips GROUP BY day ORDER BY day",
    "Trips by payment type": "SELECT payment_type, COUNT(*) AS trips, "
    "CAST(SUM(tip_amount) AS BIGINT) AS tips "
    "FROM trips.yellow_trips GROUP BY payment_type ORDER BY trips DESC",
}
"""Queries in the SQL that all stores share, whose answers fit a terminal."""

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Contents:
    """A store's contents for a month: rows, and the sum of their total_amount in US dollars."""

    rows: int
    total_amount: Decimal


@dataclass(frozen=True)
class DemoResult:
    """The result of one month: what the platform reports, and what the stores contain."""

    month: TripMonth
    rows_read: int
    rejected_by_reason: Mapping[str, int]
    cleaned: Contents
    stores: Mapping[str, Contents]
    seconds: Mapping[str, float]

    @property
    def reconciled(self) -> bool:
        """Whether no row was lost and every store contains exactly the kept rows."""
        rejected = sum(self.rejected_by_reason.values())
        return self.rows_read == self.cleaned.rows + rejected and all(
            contents == self.cleaned for contents in self.stores.values()
        )


def ask_stores(month: TripMonth, cleaned: dict[str, Any], seconds: dict[str, float]) -> DemoResult:
    """Asks every store for a month.

    Args:
        month: the month.
        cleaned: the metadata of its ``cleaned_trips``.
        seconds: how long each step took.
    """
    chosen = load_settings()
    return DemoResult(
        month=month,
        rows_read=cleaned["rows_read"],
        rejected_by_reason=cleaned["rejected_by_reason"],
        cleaned=Contents(cleaned["dagster/row_count"], _cents(cleaned["total_amount"])),
        stores={s.label: _ask(month, chosen, s) for s in chosen.table_stores},
        seconds=seconds,
    )


def _cents(amount: float | Decimal | None) -> Decimal:
    return Decimal(str(amount or 0)).quantize(CENT)


def _ask(month: TripMonth, chosen: Settings, kind: StoreType) -> Contents:
    with chosen.open_store(kind.name) as store:
        table = store.table_name(f"{month.color}_trips")
        # The name comes from the settings and the month, and the month is a date.
        found = first_rows(
            store,
            f"SELECT COUNT(*), SUM(total_amount) FROM {table} "  # noqa: S608
            f"WHERE data_file_month = DATE '{month.month}'",
            1,
        )
    rows, total = found.rows[0]
    return Contents(rows, _cents(total))


def print_results(console: Console, results: list[DemoResult]) -> None:
    """Prints a column for each month."""
    table = Table(title="synthetic trips", title_justify="left")
    table.add_column("", overflow="fold")
    for result in results:
        table.add_column(result.month.key, justify="right")

    def row(name: str, *values: str) -> None:
        table.add_row(name, *values)

    row("rows read", *(f"{r.rows_read:,}" for r in results))
    row("kept", *(f"{r.cleaned.rows:,}" for r in results))
    row("rejected", *(f"{sum(r.rejected_by_reason.values()):,}" for r in results))
    for reason in sorted({reason for r in results for reason in r.rejected_by_reason}):
        row(f"  {reason}", *(f"{r.rejected_by_reason.get(reason, 0):,}" for r in results))
    stores = list(results[0].stores)
    for store in stores:
        row(f"rows in {store}", *(f"{r.stores[store].rows:,}" for r in results))
    row("total_amount kept, $", *(f"{r.cleaned.total_amount:,}" for r in results))
    for store in stores:
        row(f"  in {store}, $", *(f"{r.stores[store].total_amount:,}" for r in results))
    table.add_section()
    for step in results[0].seconds:
        row(f"{step}, s", *(f"{r.seconds[step]:.2f}" for r in results))
    console.print(table)


def print_verdict(console: Console, results: list[DemoResult], report: Path) -> bool:
    """Prints what to do next and, as the last line, whether everything reconciled; returns it."""
    read = sum(r.rows_read for r in results)
    kept = sum(r.cleaned.rows for r in results)
    rejected = sum(sum(r.rejected_by_reason.values()) for r in results)
    contents = ", ".join(
        f"{store} {sum(r.stores[store].rows for r in results)}" for store in results[0].stores
    )
    reconciled = all(r.reconciled for r in results)
    command = _command()
    print_folded(console, f"\nReport:         {report.as_uri()}")
    print_folded(console, "Open the UI:    make dev, then http://127.0.0.1:3000")
    for store, (what, look) in zip(load_settings().table_stores, cycle(LOOKS.items())):
        print_folded(console, f"{what}, from {store.label}:")
        print_folded(console, f"  {command} query --store {store.name} '{look}'")
    print_folded(console, "Any client:     .env has the addresses")
    print_folded(console, f"Stop the stack: {command} local down\n")
    # The last line, for people and scripts alike.
    verdict = "reconciled" if reconciled else "NOT RECONCILED"
    print_folded(
        console,
        f"{verdict}: {len(results)} partitions, {read} rows read = {kept} kept + {rejected} "
        f"rejected; {contents}",
    )
    return reconciled


def _command() -> str:
    """This command as the user can type it, also without an activated virtual environment."""
    beside = Path(sys.executable).with_name("taxi-platform")
    if shutil.which("taxi-platform") or not beside.exists():
        return "taxi-platform"
    here = Path.cwd()
    return str(beside.relative_to(here) if beside.is_relative_to(here) else beside)
