"""Starts the emulator: ``gcs-emulator``, or ``python -m gcs_emulator``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gcs_emulator.api.app import create_app
from gcs_emulator.storage.store import FolderInUseError
from loopback_server.serving import serve


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="gcs-emulator")
    parser.add_argument("--port", type=int, required=True, help="the port on 127.0.0.1")
    parser.add_argument("--data-dir", type=Path, required=True, help="where objects are kept")
    arguments = parser.parse_args()
    os.umask(0o077)
    try:
        app = create_app(arguments.data_dir)
    except FolderInUseError as error:
        sys.exit(f"gcs-emulator: {error}")
    serve(app, arguments.port, "GCS emulator")


if __name__ == "__main__":
    main()
