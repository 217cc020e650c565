"""docs/first-hour.md by the hand of a person with a terminal and a browser, from first to last.

The tests follow the document, so they need each other in this order. Each page that it names is
looked at for what it promises, and kept as a picture.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from dagster import DagsterEventType, DagsterRunStatus
from playwright.sync_api import Browser, Locator, expect
from playwright.sync_api import TimeoutError as NotShown

from taxi_platform.landing.expectations import EXPECTATIONS
from taxi_platform_tests.automation.unattended import UnattendedPlatform, wait_until
from taxi_platform_tests.browser.hour import (
    DOCUMENT,
    FAILED,
    MONTH,
    ROWS,
    Hour,
    first_hour,
    own_asset,
)
from taxi_platform_tests.browser.ui import (
    MILLISECONDS,
    PICTURES,
    Ui,
    browsing,
    chromium,
    running_browser,
)

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
def hour(executable: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hour]:
    """The reader after section 1, with `make dev` of section 2."""
    with first_hour(tmp_path_factory.mktemp("hour") / "checkout") as found:
        found.type(1, "make demo")
        found.type(2, "make dev")
        yield found


@pytest.fixture(scope="module")
def platform(hour: Hour) -> Iterator[UnattendedPlatform]:
    with hour.platform() as found:
        yield found


@pytest.fixture(scope="module")
def url(hour: Hour) -> str:
    return f"http://127.0.0.1:{hour.reader.port}"


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
def run_path(ui: Ui, demo_seen: None) -> str:
    """The page of the run that a person launched from the graph; it has succeeded."""
    page = ui.open("/asset-groups")
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


@pytest.fixture(scope="module")
def demo_seen(hour: Hour, ui: Ui, browser: Browser, url: str) -> None:
    """Sections 1 and 2: the demo's last lines and months, and the pages of what it loaded."""
    assert hour.said["make demo"].splitlines()[-1].startswith("reconciled: 2 partitions, ")
    assert re.search(r"(?m)^green 2024  S   -", hour.said["taxi-platform status --color green"])

    page = ui.open("/runs")
    for month in ("green|2024-01", "yellow|2021-01"):
        expect(page.get_by_text(f"partition: {month}").first).to_be_visible()
    ui.picture("runs-of-the-demo")

    with browsing(browser, url) as other:  # whose navigation stays hidden
        graph = _open_graph(other)
        for asset in ASSETS:
            expect(other.shown(asset, graph)).to_be_visible()
        # The arrows: between trips, from them to the marts, and from those to the report.
        assert graph.locator("path[marker-end]").count() >= 4 + 2 + 1
        expect(graph.get_by_text(f"{CHECKS} / {CHECKS} Passed")).to_have_count(1)
        expect(graph.get_by_text("1 / 1 Passed")).to_have_count(3)
        expect(graph.get_by_text("fetching statuses")).to_have_count(0)
        other.page.get_by_role("button", name="Hide navigation").click()
        other.picture("asset-graph", graph.locator("foreignObject"))

    ui.open("/assets/loaded_months")
    expect(page.get_by_text("1 month, synthetic; 2024-01:").first).to_be_visible()
    expect(page.get_by_text("rows: 59,569")).to_be_visible()
    ui.picture("loaded-months")

    _open_partition(ui, "raw_trips")
    expect(_metadata(ui, "source")).to_contain_text("synthetic")


def test_a_second_make_dev_says_that_one_is_running(hour: Hour, demo_seen: None) -> None:
    said = hour.reader.run("make dev", code=2)
    assert f"127.0.0.1:{hour.reader.port} is taken: is `make dev` running already?" in said
    assert len(said.splitlines()) == 2  # and make's own


def test_a_month_chosen_in_the_graph_takes_the_place_of_the_synthetic_one(
    hour: Hour, ui: Ui, run_path: str, platform: UnattendedPlatform
) -> None:
    run, of_the_demo = platform.runs_of(MONTH)
    assert run_path == f"/runs/{run.run_id}"
    assert of_the_demo.is_finished
    assert platform.is_loaded_whole(MONTH)
    assert platform.kept_rows(MONTH) < ROWS
    _open_partition(ui, "raw_trips")
    expect(_metadata(ui, "source")).to_contain_text("file://")


def test_the_chart_of_trips_a_day_is_shown_as_a_picture(ui: Ui, run_path: str) -> None:
    _open_partition(ui, "cleaned_trips")
    _metadata(ui, "trips_by_day").get_by_text("Show Markdown").click()
    chart = ui.page.get_by_role("dialog").locator("img")
    expect(chart).to_be_visible()
    assert f"trips a day, {MONTH.month:%B %Y}" in (chart.get_attribute("alt") or "")
    width, height = chart.evaluate("i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])")
    assert (width, height) == (720, 220)
    ui.picture("chart", ui.page.get_by_role("dialog"))
    ui.page.keyboard.press("Escape")
    ui.picture("partition")


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


def test_the_daemon_loads_the_same_month_and_the_calendar_says_so(
    hour: Hour, ui: Ui, run_path: str, platform: UnattendedPlatform
) -> None:
    status = hour.type(3, ". .venv/bin/activate")
    assert "1 month loaded, 0 failed." in "".join(hour.said.values())
    assert re.search(r"(?m)^green 2024  #   -", status)
    page = ui.open("/assets/loaded_months")
    expect(page.get_by_text(f"rows: {platform.kept_rows(MONTH):,}")).to_be_visible()


def test_the_automation_says_what_it_does(ui: Ui, run_path: str) -> None:
    page = ui.open("/automation")
    for name in ("published_months", "monthly", "gcs_objects_to_bigquery"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    ui.picture("automation")


def test_a_failed_month_says_why_everywhere_and_the_command_repairs_it(
    hour: Hour, ui: Ui, run_path: str, platform: UnattendedPlatform
) -> None:
    cause = "green|2024-02: raw_trips failed: http://127.0.0.1:9/green_2024-02.parquet: "
    repair = "taxi-platform backfill --color green --from 2024-02 --to 2024-02"
    log = hour.type(4, "TAXI_SOURCE_URL=", "TAXI_SOURCE_URL=", code=1).splitlines()
    (line,) = [line for line in log if cause in line]
    assert repair in line
    assert "RUN_FAILURE" in log[log.index(line) + 1]
    status = hour.type(4, "taxi-platform status", "taxi-platform status")
    assert cause in status
    assert re.search(r"(?m)^green 2024  #   F", status)

    page = ui.open("/runs?q[0]=status%3AFAILURE")
    tag = page.get_by_text(re.compile(r"taxi/cause: green\|2024-02: raw_trips failed")).first
    expect(tag).to_be_visible()
    ui.picture("failed-runs")
    (failed,) = platform.runs_of(FAILED)
    page = ui.open(f"/runs/{failed.run_id}")
    expect(page.get_by_text("Once the cause is fixed").first).to_be_visible()
    ui.picture("failed-run")

    assert "1 month loaded, 0 failed." in hour.type(4, repair, repair)
    assert platform.is_loaded_whole(FAILED)
    said = hour.type(4, "taxi-platform doctor")
    assert "rows rejected" in said
    assert "ok    Postgres: " in hour.said["taxi-platform doctor"]


def test_an_asset_of_ones_own_is_loaded_and_shown(
    hour: Hour, ui: Ui, run_path: str, platform: UnattendedPlatform
) -> None:
    name, text = own_asset()
    hour.type(5, "dg scaffold", "dg scaffold")
    file = hour.reader.folder / name
    assert "def tips" in file.read_text()
    file.write_text(text)
    table = hour.type(5, "dg check defs")
    assert table.splitlines()[0] == "payment_type,tip_amount,data_file_month"
    assert len(table.splitlines()) > 3

    page = ui.open("/asset-groups")
    page.get_by_role("button", name="Reload definitions").click()
    expect(page.get_by_text("Definitions reloaded").first).to_be_visible()
    ui.open(f"/assets/tips?view=partitions&partition=green%7C{MONTH.year_month}")
    expect(ui.shown("Materialized")).to_be_visible()
    ui.picture("own-asset")


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
            if path == run_path:
                # Its log comes through a socket, which networkidle does not wait for.
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
    known = {run.run_id for run in platform.runs_of(MONTH)}
    with browsing(browser, url) as ui, _written_by_another(platform):
        page = ui.open(run_path)
        page.get_by_role("button", name="Re-execute all").click()
        wait_until(lambda: "postgres_trips" in _started_steps(platform, known), 120)
        page.get_by_role("button", name="Terminate").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Terminate").click()
        expect(ui.shown("Canceled")).to_be_visible()
        ui.picture("terminated")
    assert platform.runs_of(MONTH)[0].status is DagsterRunStatus.CANCELED
    assert platform.rows() == before


def _started_steps(platform: UnattendedPlatform, known: set[str]) -> set[str | None]:
    """The steps of the month's run that is new, which have started."""
    run = platform.runs_of(MONTH)[0]
    events = platform.instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_START)
    return set() if run.run_id in known else {event.step_key for event in events}


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
    launched, *others = [toast.splitlines()[0] for toast in ui.toasts]
    assert launched == f"Launched run {run_path[6:14]}"
    assert all("reloaded" in toast for toast in others), others
    assert not ui.faults


def test_the_end_stops_all_and_no_command_of_the_document_is_left(hour: Hour, ui: Ui) -> None:
    hour.reader.stop_servers()
    assert "Postgres server: stopped" in hour.type(6, "taxi-platform local down")
    assert hour.left == [[]] * 6
    in_document = re.findall(r"!\[[^]]+\]\((\S+)\)", DOCUMENT)
    assert all((PICTURES / name).is_file() for name in in_document), in_document
