"""A month from the asset graph to its chart, by the hand of a person with a browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from dagster import DagsterEventType, DagsterRunStatus
from playwright.sync_api import Browser, Locator, expect
from playwright.sync_api import TimeoutError as NotShown

from taxi_platform.assets.keys import LOADED
from taxi_platform.automation.months import newest_months
from taxi_platform.landing.expectations import EXPECTATIONS
from taxi_platform.settings import load_settings
from taxi_platform_tests.automation.unattended import (
    UnattendedPlatform,
    WebServer,
    unattended_platform,
    wait_until,
)
from taxi_platform_tests.browser.ui import (
    MILLISECONDS,
    PICTURES,
    Ui,
    browsing,
    chromium,
    running_browser,
)
from taxi_platform_tests.conftest import EmbeddedStack, free_port

pytestmark = [
    pytest.mark.browser,
    pytest.mark.daemon,
    pytest.mark.integration,
    pytest.mark.timeout(900),
]

UNFOLDED = ["landing", "lake", "warehouse"]
FOLDED = ["marts", "report"]
"""Fourteen marts would leave no room for the rest."""

ASSETS = [
    "raw_trips",
    "cleaned_trips",
    "gcs_trips",
    "bigquery_trips",
    "postgres_trips",
    "taxi_zones",
]
"""Those of the groups that the test unfolds."""
GREEN = [month for month in newest_months(load_settings()) if month.color == "green"]
MONTH = GREEN[2]

CHECKS = len(EXPECTATIONS) + 2
"""Of a cleaned month: also the comparisons with the loaded version and with the neighbors."""

# Where configuration, logs and metadata are shown.
PAGES_WITH_SETTINGS = [
    "/deployment/config",
    "/deployment/daemons",
    "/automation",
    "/locations/__repository__@taxi_platform/resources/postgres",
    "/locations/__repository__@taxi_platform/resources/postgres_table",
    f"/assets/postgres_trips?view=partitions&partition=green%7C{MONTH.year_month}",
]


@pytest.fixture(scope="module")
def executable() -> Path:
    return chromium()


@pytest.fixture(scope="module")
def platform(executable: Path, stack: EmbeddedStack) -> Iterator[UnattendedPlatform]:
    settings = {"TAXI_SOURCE_URL": "synthetic", "TAXI_FIRST_MONTH": GREEN[-1].year_month}
    with unattended_platform(stack, "looked_at", **settings) as running:
        running.start_daemon()
        yield running


@pytest.fixture(scope="module")
def url(platform: UnattendedPlatform) -> Iterator[str]:
    address = f"http://127.0.0.1:{free_port()}"
    web = WebServer(platform, address)
    yield address
    web.close()


@pytest.fixture(scope="module")
def browser(executable: Path) -> Iterator[Browser]:
    with running_browser(executable) as running:
        yield running


@pytest.fixture(scope="module")
def ui(browser: Browser, url: str) -> Iterator[Ui]:
    with browsing(browser, url) as opened:
        yield opened
        opened.picture("last")


@pytest.fixture(scope="module")
def run_path(ui: Ui) -> str:
    """The page of the run that a person launched from the graph; it has succeeded."""
    page = ui.page
    graph = _open_graph(ui)
    for asset in ASSETS:
        expect(ui.shown(asset, graph)).to_be_visible()
    # The arrows: between trips, from them to the marts, and from those to the report.
    assert graph.locator("path[marker-end]").count() >= 4 + 2 + 1

    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog")
    _choose_green(ui, dialog)
    _choose_month(ui, dialog)
    ui.picture("choosing-a-month")
    dialog.get_by_role("button", name="Launch 1 run").click()

    expect(dialog).to_have_count(0)
    ui.shown("Runs").click()
    page.locator("a[href^='/runs/']").first.click()
    page.wait_for_url("**/runs/*")
    end = page.get_by_text(re.compile(r"^(Success|Failure|Canceled)$")).locator("visible=true")
    expect(end.first).to_be_visible(timeout=2 * MILLISECONDS)
    ui.picture("run")
    assert end.first.inner_text() == "Success"
    return page.url.removeprefix(ui.url)


def _open_graph(ui: Ui) -> Locator:
    """The graph with the groups of the trips unfolded, as its address says."""
    # Wide enough for all of them at a scale at which an asset says more than its name.
    ui.page.set_viewport_size({"width": 2_600, "height": 1_200})
    unfolded = ",".join(f"global@global:{group}" for group in UNFOLDED)
    page = ui.open(f"/asset-groups?expanded={unfolded}")
    graph = page.locator("[data-svg-viewport]")
    for group in (*UNFOLDED, *FOLDED):
        expect(ui.shown(group, graph)).to_be_visible()
    return graph


def _choose_green(ui: Ui, dialog: Locator) -> None:
    """Opens the list of colors, which the UI closes if news of partitions come; then again."""
    for _ in range(20):
        ui.shown("Select a partition or create one", dialog).click()
        try:
            ui.shown("green").click(timeout=6_000)
        except NotShown:
            continue
        return
    pytest.fail("the list of colors does not stay open")


def _choose_month(ui: Ui, dialog: Locator) -> None:
    """Writes the month, which the UI forgets if news of partitions come; then again."""
    month = dialog.get_by_placeholder("ex: ")
    for _ in range(20):
        month.fill(MONTH.year_month)
        month.press("Enter")
        try:
            expect(ui.shown("1 partition", dialog)).to_be_visible(timeout=6_000)
        except AssertionError:
            continue
        return
    pytest.fail("the month is not taken")


def _metadata(ui: Ui, name: str) -> Locator:
    """The value of an entry in the metadata of the partition that is shown."""
    row = ui.page.locator("tr").filter(has=ui.page.get_by_text(name, exact=True))
    return row.locator("td").nth(1)


def _open_partition(ui: Ui, asset: str) -> None:
    ui.open(f"/assets/{asset}?view=partitions&partition=green%7C{MONTH.year_month}")
    expect(ui.shown("Materialized")).to_be_visible()


def test_a_month_chosen_in_the_graph_is_materialized_and_the_graph_shows_it(
    ui: Ui, run_path: str, platform: UnattendedPlatform
) -> None:
    (run,) = platform.runs_of(MONTH)
    assert run_path == f"/runs/{run.run_id}"
    assert platform.is_loaded_whole(MONTH)
    graph = _open_graph(ui)
    # Six months of two colors, one of which is there: an asset of the graph says so much of itself.
    expect(graph.get_by_text("8% filled")).to_have_count(5)
    expect(graph.get_by_text(f"{CHECKS} / {CHECKS} Passed")).to_have_count(1)
    expect(graph.get_by_text("1 / 1 Passed")).to_have_count(3)
    ui.page.get_by_role("button", name="Hide navigation").click()
    ui.picture("asset-graph", graph.locator("foreignObject"))


def test_the_chart_of_trips_a_day_is_shown_as_a_picture(ui: Ui, run_path: str) -> None:
    _open_partition(ui, "cleaned_trips")
    _metadata(ui, "trips_by_day").get_by_text("Show Markdown").click()
    chart = ui.page.get_by_role("dialog").locator("img")
    expect(chart).to_be_visible()
    assert f"trips a day, {MONTH.month:%B %Y}" in (chart.get_attribute("alt") or "")
    width, height = chart.evaluate("i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])")
    assert (width, height) == (720, 220)
    ui.picture("chart", ui.page.get_by_role("dialog"))


@pytest.mark.parametrize(
    ("asset", "entry"),
    [
        ("cleaned_trips", "dagster/row_count"),
        ("gcs_trips", "dagster/row_count"),
        ("bigquery_trips", "dagster/partition_row_count"),
        ("postgres_trips", "dagster/partition_row_count"),
    ],
)
def test_the_partition_shows_its_rows(
    ui: Ui, run_path: str, platform: UnattendedPlatform, asset: str, entry: str
) -> None:
    _open_partition(ui, asset)
    expect(_metadata(ui, entry)).to_have_text(str(platform.kept_rows(MONTH)))
    ui.picture(f"partition-of-{asset}")


def test_the_checks_of_the_month_are_shown_as_passed(ui: Ui, run_path: str) -> None:
    page = ui.open("/assets/cleaned_trips?view=checks")
    expect(ui.shown(f"Checks ({CHECKS})")).to_be_visible()
    expect(page.get_by_text("Succeeded", exact=True)).to_have_count(CHECKS)
    expect(ui.shown("Passed")).to_be_visible()
    ui.picture("checks")


def test_what_is_loaded_is_seen_without_a_click(
    ui: Ui, run_path: str, platform: UnattendedPlatform
) -> None:
    wait_until(lambda: platform.instance.get_latest_materialization_event(LOADED) is not None)
    page = ui.open("/assets/loaded_months")
    expect(page.get_by_text("1 month, all of them synthetic")).to_be_visible()
    expect(page.get_by_text(f"rows: {platform.kept_rows(MONTH):,}")).to_be_visible()
    expect(page.get_by_text("no month is loaded")).to_be_visible()
    ui.picture("loaded-months")


def test_no_page_shows_a_secret(
    browser: Browser, url: str, run_path: str, platform: UnattendedPlatform, tmp_path: Path
) -> None:
    answers = tmp_path / "answers.har"
    frames: list[str] = []
    shown: list[str] = []
    with browsing(browser, url, answers) as ui:
        ui.page.on(
            "websocket",
            lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))),
        )
        for path in [run_path, *PAGES_WITH_SETTINGS]:
            page = ui.open(path)
            page.wait_for_load_state("networkidle")
            if (
                path == run_path
            ):  # its log comes through a socket, which networkidle does not wait for
                page.get_by_text("Finished execution of run").first.wait_for(state="attached")
            shown.append(ui.page.content())
        assert "Finished execution of run" in shown[0]
        assert not ui.toasts
        assert not ui.faults
    everything = "\n".join([answers.read_text(), *frames, *shown])
    assert "schema_name" in everything
    assert platform.environment["TAXI_GCS_BUCKET"] in everything
    shows_it = platform.environment["TAXI_POSTGRES_PASSWORD"] in everything
    assert not shows_it  # without the words themselves, which would be in the report


def test_terminate_ends_a_run_at_once_and_leaves_the_month_as_it_was(
    browser: Browser, url: str, run_path: str, platform: UnattendedPlatform
) -> None:
    before = platform.rows()
    with browsing(browser, url) as ui, _written_by_another(platform):
        page = ui.open(run_path)
        page.get_by_role("button", name="Re-execute all").click()
        wait_until(lambda: "postgres_trips" in _started_steps(platform), 120)
        page.get_by_role("button", name="Terminate").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Terminate").click()
        expect(ui.shown("Canceled")).to_be_visible()
        ui.picture("terminated")
    assert platform.runs_of(MONTH)[0].status is DagsterRunStatus.CANCELED
    assert platform.rows() == before


def _started_steps(platform: UnattendedPlatform) -> set[str | None]:
    """The steps of the month's second run that have started."""
    run, *others = platform.runs_of(MONTH)
    events = platform.instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_START)
    return {event.step_key for event in events} if others else set()


@contextmanager
def _written_by_another(platform: UnattendedPlatform) -> Iterator[None]:
    """Postgres' lock of the month, so that a run has to wait for it."""
    child = f"{platform.environment['TAXI_POSTGRES_SCHEMA']}.green_trips_{MONTH.month:%Y_%m}"
    with psycopg.connect(platform.stack.postgres().conninfo) as connection:
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"taxi_platform {child}"]
        )
        yield


def test_nothing_goes_wrong_on_the_way(ui: Ui, run_path: str) -> None:
    assert [toast.splitlines()[0] for toast in ui.toasts] == [f"Launched run {run_path[6:14]}"]
    assert not ui.faults
    assert PICTURES.is_dir()
