"""What the documents point at is there: files, headings, tests, jobs, sensors and the schedule."""

import re
from pathlib import Path

import pytest

from taxi_platform.definitions import build_defs
from taxi_platform.settings import load_settings
from taxi_platform_tests.conftest import PROJECT

DOCUMENTS = sorted(
    path.relative_to(PROJECT)
    for pattern in ("*.md", "docs/**/*.md", "packages/*/README.md", ".github/*.md")
    for path in PROJECT.glob(pattern)
)


def anchor(heading: str) -> str:
    """A heading as GitHub names it in links."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def prose(document: Path) -> str:
    """A document without its blocks of code."""
    return re.sub(r"(?ms)^ *```.*?^ *```", "", (PROJECT / document).read_text())


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if target.startswith("https://"):
            continue
        name, _, heading = target.partition("#")
        there = (PROJECT / document).parent / name if name else PROJECT / document
        assert there.exists(), target
        if heading:
            known = re.findall(r"(?m)^#+ (.*)", prose(there.resolve().relative_to(PROJECT)))
            assert heading in map(anchor, known), target


def test_every_guarantee_is_verified_by_tests_that_exist() -> None:
    table = (
        (PROJECT / "docs/guarantees.md").read_text().split("| verified by |")[1].split("\n\n")[0]
    )
    rows = [row for row in table.splitlines() if row.startswith("| ")]
    assert len(rows) > 10
    for row in rows:
        verified_by = re.findall(r"`(\S+\.py)`", row.split("|")[3])
        assert verified_by, row
        for pattern in verified_by:
            assert list((PROJECT / "taxi_platform_tests").glob(pattern)), pattern


@pytest.mark.parametrize("kind", ["job", "sensor", "schedule"])
def test_jobs_sensors_and_the_schedule_have_the_names_that_are_documented(kind: str) -> None:
    repository = build_defs(load_settings()).get_repository_def()
    existing = {
        "job": set(repository.job_names),
        "sensor": {sensor.name for sensor in repository.sensor_defs},
        "schedule": {schedule.name for schedule in repository.schedule_defs},
    }[kind]
    text = "".join((PROJECT / document).read_text() for document in DOCUMENTS)
    named = set(re.findall(rf"\b{kind} (?:start |stop )?`?([a-z]+(?:_[a-z]+)+|monthly)\b", text))
    named -= {"lake_objects"}  # which CHANGELOG.md says is gone
    # Alerts have a sensor where an address is set.
    assert {name for name in named if not name.startswith("alerts_by_")} <= existing
    assert named
