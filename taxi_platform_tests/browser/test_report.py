"""The demo's report in a real browser: it asks for nothing, draws all, and its figures hold."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from dotenv import dotenv_values
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from taxi_platform_tests.browser.ui import PICTURES, chromium, running_browser
from taxi_platform_tests.cli.terminals import COMMAND
from taxi_platform_tests.conftest import PROJECT, inherited_environment

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(600)]

DRAWN = [
    *("days", "pickups", "revenue", "speeds", "payments", "tips", "airports", "pairs", "fees"),
    *("speeds_by_year", "rejected"),
]


@dataclass
class Demo:
    """A demo that has ended: its report, and the addresses of its servers."""

    folder: Path
    report: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> str:
        done = self.attempt(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """What a command says that does not do what it is told, in one line."""
        done = self.attempt(*arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return " ".join(done.stderr.split())

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=inherited_environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def postgres(self) -> Iterator[psycopg.Connection]:
        e = self.environment
        with psycopg.connect(
            host=e["TAXI_POSTGRES_HOST"],
            port=e["TAXI_POSTGRES_PORT"],
            user=e["TAXI_POSTGRES_USER"],
            password=e["TAXI_POSTGRES_PASSWORD"],
            dbname=e["TAXI_POSTGRES_DATABASE"],
        ) as connection:
            yield connection

    def trips_and_cents(self, color: str) -> list[tuple[int, int]]:
        """Of the trips, by plain SQL: from Postgres and from BigQuery."""
        query = f"SELECT COUNT(*), SUM(ROUND(total_amount * 100)) FROM trips.{color}_trips"
        e = self.environment
        with self.postgres() as connection:
            postgres = connection.execute(query.encode()).fetchone()
        with bigquery.Client(
            project=e["TAXI_GCP_PROJECT"],
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": e["BIGQUERY_EMULATOR_HOST"]},
        ) as client:
            row = next(iter(client.query_and_wait(query)))
        assert postgres is not None
        return [(postgres[0], round(postgres[1])), (row[0], round(row[1]))]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    executable = chromium()  # skips before the demo runs
    assert executable
    folder = tmp_path_factory.mktemp("report")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, folder)
    found = Demo(folder, Path(), {})
    try:
        said = found.run("demo")
        path = re.search(r"Report: +file://(\S+)", said)
        assert path, said
        found.report = Path(path[1])
        found.environment = {k: v for k, v in dotenv_values(folder / ".env").items() if v}
        yield found
    finally:
        found.run("local", "reset", "--yes")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser(chromium()) as running:
        yield running


@dataclass
class Watched:
    """The report in a page, and what it asked for and complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def note(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.faults.append(said.text)


@pytest.fixture
def watched(browser: Browser, demo: Demo, request: pytest.FixtureRequest) -> Iterator[Watched]:
    width, theme = getattr(request, "param", (1280, "light"))
    with browser.new_context(viewport={"width": width, "height": 900}) as context:
        page = context.new_page()
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        found = Watched(page)
        page.on("request", lambda asked: found.requests.append(asked.url))
        page.on("pageerror", lambda error: found.faults.append(str(error)))
        page.on("console", lambda said: found.note(said))
        page.goto(demo.report.as_uri())
        page.wait_for_selector("html[data-drawn='1']", state="attached", timeout=60_000)
        yield found


@pytest.mark.parametrize(
    "watched", [(1280, "light"), (400, "light"), (1280, "dark")], indirect=True, ids=str
)
def test_the_report_draws_every_picture_and_asks_for_nothing(
    watched: Watched, demo: Demo, request: pytest.FixtureRequest
) -> None:
    page = watched.page
    assert watched.requests == [demo.report.as_uri()]
    assert watched.faults == []
    for key in DRAWN:
        figure = page.locator(f"#{key}")
        assert "Synthetic" in figure.locator("h2").inner_text()
        marks = figure.locator("svg [role='graphics-symbol'], svg .mark-line path")
        assert marks.count() > 0, key
        drawing = figure.locator(".drawing")
        assert len(drawing.get_attribute("aria-label") or "") > 40
        box = figure.locator("svg.marks").bounding_box()
        outer = figure.bounding_box()
        assert box is not None
        assert outer is not None
        assert box["width"] <= outer["width"]
        assert box["height"] > 100
    # Nothing lies beside the page.
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == page.evaluate("window.innerWidth")
    PICTURES.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "-", request.node.callspec.id).strip("-")
    page.screenshot(path=PICTURES / f"report-{name}.png", full_page=name.startswith("400"))


@pytest.mark.parametrize("watched", [(1280, "dark")], indirect=True, ids=["dark"])
def test_texts_can_be_read_in_the_dark_and_the_button_changes_it(watched: Watched) -> None:
    page = watched.page
    fill = "getComputedStyle(document.querySelector('#payments .role-axis-label text')).fill"
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = (page.evaluate(fill), page.evaluate(paper))
    page.get_by_role("button", name="Dark or light").click()
    page.wait_for_selector("html[data-drawn='2']", state="attached")
    light = (page.evaluate(fill), page.evaluate(paper))
    assert _lightness(dark[0]) - _lightness(dark[1]) > 100
    assert _lightness(light[1]) - _lightness(light[0]) > 100


def _lightness(color: str) -> float:
    numbers = [float(n) for n in re.findall(r"[\d.]+", color)[:3]]
    return sum(numbers) / 3


def test_a_mark_that_is_pointed_at_says_its_figures(watched: Watched) -> None:
    mark = watched.page.locator("#payments svg path[aria-roledescription='bar']").first
    mark.scroll_into_view_if_needed()
    mark.hover()
    tooltip = watched.page.locator("#vg-tooltip-element")
    expect(tooltip).to_be_visible()
    assert re.search(r"payment\s+card\s+trips\s+[\d,]+\s+tips, \$\s+\$[\d,]+", tooltip.inner_text())


def test_a_color_and_a_month_can_be_chosen(watched: Watched, demo: Demo) -> None:
    page = watched.page

    def trips() -> int:
        labels = page.locator("#payments svg path[aria-roledescription='bar']").evaluate_all(
            "bars => bars.map(bar => bar.getAttribute('aria-label'))"
        )
        return sum(int(re.findall(r"trips: ([\d,]+)", one)[0].replace(",", "")) for one in labels)

    green, yellow = (demo.trips_and_cents(color)[0][0] for color in ("green", "yellow"))
    assert trips() == green + yellow
    page.locator("#color").select_option("green")
    page.wait_for_selector("html[data-chosen='green all']", state="attached")
    assert trips() == green
    page.locator("#color").select_option("all")
    page.locator("#month").select_option("2021-01")
    page.wait_for_selector("html[data-chosen='all 2021-01']", state="attached")
    assert trips() == yellow


def test_the_figures_are_those_of_both_stores(watched: Watched, demo: Demo) -> None:
    for color in ("green", "yellow"):
        shown = tuple(
            int(
                watched.page.locator(f"dd[data-color='{color}'][data-{what}]").get_attribute(
                    f"data-{what}"
                )
                or 0
            )
            for what in ("trips", "cents")
        )
        assert demo.trips_and_cents(color) == [shown, shown]
    rows = watched.page.locator("#quality-table tbody tr")
    expect(rows).to_have_count(2)
    for number, (color, month) in enumerate((("green", "2024-01"), ("yellow", "2021-01"))):
        cells = rows.nth(number).locator("td").all_inner_texts()
        assert cells[:3] == [color, month, "synthetic"]
        read, kept, *rejected = (int(cell.replace(",", "")) for cell in cells[3:])
        assert read == kept + sum(rejected)
        assert kept == demo.trips_and_cents(color)[0][0]


def test_both_stores_give_the_same_report(demo: Demo) -> None:
    pages = []
    for store in ("postgres", "bigquery"):
        said = demo.run("report", "--store", store, "--output", str(demo.folder / f"{store}.html"))
        page = Path(said.strip()).read_text()
        data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
        assert data
        pages.append(data[1])
    assert pages[0] == pages[1]


def test_a_file_behind_a_link_is_replaced_and_the_link_stays(demo: Demo) -> None:
    target, link = demo.folder / "target.html", demo.folder / "link.html"
    target.write_text("older")
    link.symlink_to(target)
    demo.run("report", "--output", str(link))
    assert link.is_symlink()
    assert "<title>Synthetic: " in target.read_text()


def test_months_that_have_no_marts_are_named_with_those_that_do(demo: Demo) -> None:
    said = demo.refused("report", "--from", "2019-01", "--to", "2019-03")
    assert "no month from 2019-01 to 2019-03 has marts" in said
    assert "there are green 2024-01 to 2024-01, yellow 2021-01 to 2021-01" in said
    too_long = str(demo.folder / f"{'a' * 300}.html")
    assert "name too long" in demo.refused("report", "--output", too_long)


def test_a_synthetic_month_is_known_as_such_without_its_files(demo: Demo) -> None:
    # A loaded month's files may be deleted.
    shutil.rmtree(Path(demo.environment["TAXI_DATA_DIR"]) / "cleaned")
    path = demo.folder / "without-files.html"
    demo.run("report", "--color", "yellow", "--output", str(path))
    assert "<title>Synthetic: " in path.read_text()


def test_a_mart_that_is_not_there_is_named(demo: Demo) -> None:
    with demo.postgres() as connection:
        connection.execute("DELETE FROM trips.green_borough_pairs")
    path = demo.folder / "without-pairs.html"
    demo.run("report", "--output", str(path))
    assert "marts of several versions, synthetic" in path.read_text()
    with demo.postgres() as connection:
        connection.execute("DROP TABLE trips.green_payment_tips CASCADE")
    said = demo.refused("report")
    assert "has no green_payment_tips: make the marts payment_tips of every month" in said
