"""Sessions: what the query jobs of one client share, temporary tables and a transaction."""

from __future__ import annotations

import base64
import secrets
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field

import duckdb

from bigquery_emulator.errors import invalid, invalid_query
from bigquery_emulator.jobs.temporary import TemporaryTables
from bigquery_emulator.storage.database import Cursor, Storage

_CONCURRENT = "Transaction is aborted due to concurrent update. Begin it again"


@dataclass
class Session:
    """What the jobs of a session, or the statements of a script, share.

    Attributes:
        temporary: their temporary tables.
        id: of a session that a client may name; empty for a script's own.
        lock: held by the job that runs in it.
        cursor: in the open transaction, if there is one.
    """

    temporary: TemporaryTables
    id: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    cursor: Cursor | None = None
    _open: ExitStack = field(default_factory=ExitStack)
    _locks: ExitStack = field(default_factory=ExitStack)
    _locked: set[tuple[str, ...]] = field(default_factory=set)

    def begin(self, storage: Storage) -> None:
        """Begins a transaction, for all statements until its end.

        Raises:
            ApiError: there is one.
        """
        if self.cursor is not None:
            raise invalid_query("Cannot start a transaction while another one is active")
        self.cursor = self._open.enter_context(storage.transaction())

    def commit(self) -> None:
        """Makes what the transaction did seen by others.

        Raises:
            ApiError: there is none, or others changed the same tables meanwhile.
        """
        if self.cursor is None:
            raise invalid_query("COMMIT TRANSACTION needs an active transaction")
        self.cursor = None
        try:
            self._open.close()
        except duckdb.Error as error:
            raise invalid_query(_CONCURRENT) from error
        finally:
            self._unlock()

    def roll_back(self) -> None:
        """Undoes what the transaction did, if there is one."""
        if self.cursor is None:
            return
        self.cursor = None
        undone = _UndoneError()
        try:
            self._open.__exit__(_UndoneError, undone, None)
        except _UndoneError:
            return
        finally:
            self._unlock()

    def write(self, storage: Storage, key: tuple[str, ...]) -> None:
        """Keeps other writers from a table until the end of the transaction.

        Raises:
            ApiError: another one writes it.
        """
        if key not in self._locked:
            if not self._locks.enter_context(storage.locks.held_for(*key, wait=False)):
                raise invalid_query(_CONCURRENT)
            self._locked.add(key)

    def _unlock(self) -> None:
        self._locks.close()
        self._locked.clear()


class _UndoneError(Exception):
    """A transaction is not to be committed."""


class Sessions:
    """The sessions that clients may name. They end with the process."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._sessions: dict[str, Session] = {}

    def new(self, project: str, location: str) -> Session:
        """A new session."""
        session_id = base64.b64encode(secrets.token_bytes(48)).decode()
        session = Session(TemporaryTables(project, location), session_id)
        self._sessions[session_id] = session
        return session

    def find(self, project: str, session_id: str) -> Session:
        """The session of that id.

        Raises:
            ApiError: there is none, or it has ended.
        """
        session = self._sessions.get(session_id)
        if session is None or session.temporary.project != project:
            raise invalid(f"Session {session_id} is not found or has ended")
        return session

    def end(self, session: Session) -> None:
        """Ends a session; an open transaction is undone."""
        self._sessions.pop(session.id, None)
        session.roll_back()
        session.temporary.drop(self._storage)

    def end_all(self) -> None:
        """Ends every session."""
        for session in list(self._sessions.values()):
            self.end(session)
