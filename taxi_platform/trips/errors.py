"""Errors of reading trip files. Errors of the stores are in ``taxi_platform.errors``."""


class TripFileError(Exception):
    """The file cannot be read as a month of trips. The error is permanent: retrying will not help.

    The message is one line. It says what was found and what was expected.
    """


class TooManyRejectedError(TripFileError):
    """The share of rejected rows exceeds the limit."""
