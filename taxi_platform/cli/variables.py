"""Finds variables that are probably misspelled: they would be ignored without a word."""

import difflib
from collections.abc import Iterable, Iterator

from pydantic_settings import BaseSettings

from taxi_platform.environment import FILE, SECRETS
from taxi_platform.settings import Settings, variable_of
from taxi_platform.stores.gcs.settings import GCSSettings
from taxi_platform.stores.registry import STORES

OF_DAGSTER = "TAXI_DAGSTER_POSTGRES_DATABASE"
"""Read by dagster.yaml only."""

ALIKE = 0.85
"""The least similarity, from 0 to 1, of a misspelled name. Users have variables of their own."""


def misspelled(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Variables that are no settings, and the settings that were probably meant."""
    known = set(_known())
    for name in sorted(set(names) - known):
        base = name.removesuffix(FILE)
        if base != name and base in known:
            yield name, base  # only a secret may be in a file
        elif name.startswith("TAXI"):
            for meant in difflib.get_close_matches(name, known, 1, ALIKE):
                yield name, meant


def _known() -> Iterator[str]:
    yield OF_DAGSTER
    parts: list[type[BaseSettings]] = [Settings, GCSSettings]
    parts += [store.settings for store in STORES.values()]
    for part in parts:
        for field in part.model_fields:
            variable = variable_of(part, field)
            yield variable
            if variable.endswith(SECRETS):
                yield f"{variable}{FILE}"
