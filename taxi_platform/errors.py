"""The two kinds of store error. Each store maps its client's errors to them, in one place.

Stores do not retry: the step's retry policy is the one layer that does.
"""


class StoreError(Exception):
    """A store could not do what was asked.

    The message names the partition, the store and the way out. Secrets are never in it.
    """


class TransientStoreError(StoreError):
    """Trying again later may help: the network, an overloaded server, a lock that is held."""


class PermanentStoreError(StoreError):
    """Trying again will not help until somebody changes something."""
