"""What the stack's two emulators have in common as processes."""

import os

import httpx


def emulator_environment() -> dict[str, str]:
    """The caller's environment without proxies and other emulators."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.endswith("_EMULATOR_HOST")
    }
    return kept | {"PYTHONUNBUFFERED": "1"}


def answers_with(url: str) -> bool:
    """Whether a GET of this address is answered 200."""
    try:
        with httpx.Client(trust_env=False, timeout=5) as client:
            return client.get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
