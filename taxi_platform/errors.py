"""The two kinds of store error. Each store maps its client's errors to them, in one place.

Stores do not retry: the step's retry policy is the only layer that does.
"""


class SettingsError(Exception):
    """The settings cannot be used. The message says why and what to do, in one line."""


class StoreError(Exception):
    """An operation on a store failed.

    The message names the partition, the store and what to do. It never contains secrets.
    """


class TransientStoreError(StoreError):
    """A transient fault, which a retry may solve: the network, an overloaded server, a lock.

    Attributes:
        retry_after: the seconds to wait before the retry, if the server named them.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PermanentStoreError(StoreError):
    """A permanent fault: a retry is useless until somebody changes something."""
