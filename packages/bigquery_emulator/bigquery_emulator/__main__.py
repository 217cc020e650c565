"""Starts the emulator: ``bigquery-emulator``, or ``python -m bigquery_emulator``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import uvicorn

from bigquery_emulator.api.app import create_app

_STOP_SECONDS = 5


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="bigquery-emulator")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data-dir", type=Path, required=True, help="where datasets are kept")
    parser.add_argument("--gcs-url", required=True, help="the GCS server that loads read from")
    arguments = parser.parse_args()
    # Uvicorn raises the signal again when it has stopped, which is a clean end here.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        create_app(arguments.data_dir, arguments.gcs_url),
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        timeout_graceful_shutdown=_STOP_SECONDS,
    )


if __name__ == "__main__":
    main()
