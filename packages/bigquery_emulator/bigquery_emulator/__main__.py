"""Starts the emulator: ``bigquery-emulator``, or ``python -m bigquery_emulator``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from bigquery_emulator.api.app import create_app
from loopback_server.serving import serve


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="bigquery-emulator")
    parser.add_argument("--port", type=int, required=True, help="the port on 127.0.0.1")
    parser.add_argument("--data-dir", type=Path, required=True, help="where datasets are kept")
    parser.add_argument("--gcs-url", required=True, help="the GCS server that loads read from")
    arguments = parser.parse_args()
    os.umask(0o077)
    app = create_app(arguments.data_dir, arguments.gcs_url)
    serve(app, arguments.port, "BigQuery emulator")


if __name__ == "__main__":
    main()
