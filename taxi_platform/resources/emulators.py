"""Whether a Google client is meant for the embedded stack."""

import os

from taxi_platform.errors import PermanentStoreError


def emulated(environment: str, variable: str) -> bool:
    """Whether the environment is the embedded one, and its server's address is known.

    Raises:
        PermanentStoreError: it is, but the address is not known: without it the client would
            turn to the real cloud.
    """
    if environment != "local":
        return False
    if not os.environ.get(variable):
        raise PermanentStoreError(
            f"the embedded stack is not up ({variable} is not set): run 'taxi-platform local up' "
            "and start from the folder with its .env; for the real cloud set TAXI_ENV=gcp"
        )
    return True
