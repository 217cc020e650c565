from taxi_platform.trips.documentation import data_page
from taxi_platform.trips.schema import columns
from taxi_platform_tests.conftest import PROJECT


def test_the_page_of_the_data_is_current() -> None:
    page = (PROJECT / "docs" / "data.md").read_text()
    assert page == data_page(), "run make docs"


def test_every_column_of_every_color_is_on_the_page_once() -> None:
    page = data_page()
    for color in ("green", "yellow"):
        for column in columns(color):
            assert page.count(f"\n| `{column.name}` |") == 1
