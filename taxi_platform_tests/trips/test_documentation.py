from taxi_platform.trips.documentation import data_page
from taxi_platform.trips.types import TRIP_TYPES, every_rule


def test_every_column_of_every_trip_type_is_in_its_section_once() -> None:
    for name, kind in TRIP_TYPES.items():
        _, section = data_page().split(f"\n## {kind.title}: `{name}`\n")
        section = section.partition("\n## ")[0]
        for column in kind.all_columns:
            assert section.count(f"\n| `{column.name}` | {column.type} |") == 1, (name, column.name)


def test_every_rule_is_on_the_page_once() -> None:
    for rule in every_rule():
        assert data_page().count(f"\n| `{rule.name}` | `{rule.reason}` |") == 1
