"""The errors of reading trips. Store errors live in ``taxi_platform.errors``."""


class TripFileError(Exception):
    """A file that cannot be taken as a month of trips; reading it again will not help.

    The message says what was found and what was expected, in one line.
    """


class TooManyRejectedError(TripFileError):
    """More than the allowed share of a file's rows was rejected."""
