"""The documented variables are those of the settings, and no document names one that is not."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from taxi_platform.environment import FILE, SECRETS
from taxi_platform.settings import Settings, variable_of
from taxi_platform.stores.gcs.settings import GCSSettings
from taxi_platform.stores.registry import STORES
from taxi_platform_tests.conftest import PROJECT

PARTS: list[type[BaseSettings]] = [Settings, GCSSettings, *(s.settings for s in STORES.values())]
NESTED = {"gcs", "tables"}
"""Fields of the settings that hold the settings of stores, and are no variables."""

FIELDS: dict[str, FieldInfo] = {
    variable_of(part, name): field
    for part in reversed(PARTS)
    for name, field in part.model_fields.items()
    if not (part is Settings and name in NESTED)
}
DOCUMENTS = sorted(
    path.relative_to(PROJECT)
    for pattern in ("*.md", "docs/**/*.md", "deploy/**/*", "packages/*/README.md")
    for path in PROJECT.glob(pattern)
    if path.is_file()
    if path.name != "CHANGELOG.md"  # names what there was
)
READ_ELSEWHERE = (
    *("deploy/compose.yaml", "deploy/image-check", "taxi_platform_tests/conftest.py"),
    "taxi_platform_tests/deploy/test_helm_chart.py",
)


def of_dagster_yaml() -> set[str]:
    """Variables that the instance reads by itself."""
    found = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    return set(re.findall(r"'env': '(TAXI_\w+)'", str(found)))


def documented(document: str = "docs/configuration.md") -> dict[str, str]:
    """Each variable of the table, with its default as printed there."""
    text = (PROJECT / document).read_text()
    table = text.split("| variable | default |")[1].split("\n\n")[0]
    found = {}
    for row in re.findall(r"(?m)^\| (`.*?) \| (.*?) \|", table):
        names = re.findall(r"`(\w+)`", row[0])
        stem = names[0].rpartition("_")[0]
        defaults = re.findall(r"`[^`]*`|[^,\s][^,]*", row[1])
        assert len(names) == len(defaults), row
        for name, default in zip(names, defaults, strict=True):
            found[stem + name if name.startswith("_") else name] = default.strip("`")
    return found


def test_the_first_variables_are_in_the_readme_with_the_same_defaults() -> None:
    assert documented("README.md").items() <= documented().items()


def test_every_variable_of_the_settings_is_documented_and_no_other() -> None:
    assert set(documented()) == FIELDS.keys() | of_dagster_yaml() | {"DAGSTER_HOME"}


def printed(value: Any) -> str:
    """A default as the table gives it."""
    value = value.get_secret_value() if isinstance(value, SecretStr) else value
    match value:
        case None | "":
            return "none"
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(value)
        case float():
            return f"{value:g}"
    return str(value)


@pytest.mark.parametrize("variable", FIELDS)
def test_the_readme_has_its_default(variable: str) -> None:
    default = FIELDS[variable].get_default(call_default_factory=True)
    assert documented()[variable] == printed(default)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_variable_that_a_document_names_is_read_somewhere(document: Path) -> None:
    named = set(re.findall(r"\bTAXI_\w*[A-Z]\b", (PROJECT / document).read_text()))
    elsewhere = {
        name
        for path in READ_ELSEWHERE
        for name in re.findall(r"\bTAXI_\w*[A-Z]\b", (PROJECT / path).read_text())
    }
    files = {f"{variable}{FILE}" for variable in FIELDS if variable.endswith(SECRETS)}
    assert named - FIELDS.keys() - of_dagster_yaml() - elsewhere - files == set()
