"""Temporary tables: those of a script, and of a session.

They lie in a hidden dataset of their own, as in BigQuery, which is made with the first of them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from bigquery_emulator.storage import catalog
from bigquery_emulator.storage.catalog import TableName
from bigquery_emulator.storage.database import Cursor, Storage

_PREFIX = "_temporary_"


def _new_dataset() -> str:
    return _PREFIX + secrets.token_hex(12)


@dataclass(frozen=True)
class TemporaryTables:
    """The temporary tables of one script or session.

    Attributes:
        project: of the script.
        location: where it runs.
        dataset: the hidden dataset.
    """

    project: str
    location: str
    dataset: str = field(default_factory=_new_dataset)

    def name(self, table: str) -> TableName:
        """The full name of one."""
        return TableName(self.project, self.dataset, table)

    def make_dataset(self, cursor: Cursor) -> None:
        """Makes the dataset, if it is not there."""
        if catalog.find_dataset_or_none(cursor, self.project, self.dataset) is None:
            resource = {"location": self.location, "access": []}
            catalog.create_dataset(cursor, self.project, self.dataset, resource)

    def drop(self, storage: Storage) -> None:
        """Drops all of them."""
        _drop_named(storage, self.dataset)


def drop_leftovers(storage: Storage) -> None:
    """Drops the temporary tables of a process that was killed: their sessions are over."""
    _drop_named(storage, _PREFIX)


def _drop_named(storage: Storage, prefix: str) -> None:
    with storage.transaction() as cursor:
        for dataset in catalog.datasets_named(cursor, prefix):
            catalog.delete_dataset(cursor, dataset, contents=True)
