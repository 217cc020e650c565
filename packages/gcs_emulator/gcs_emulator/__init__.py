"""A local stand-in for Google Cloud Storage: its JSON API over files and SQLite.

What it does not cover it answers with HTTP 501 and a plain message. It is a server, not a library:
start it with ``gcs-emulator`` or ``python -m gcs_emulator``, and talk to it through any client of
GCS.

Imports point one way: `api`, which answers requests, and `storage`, which keeps objects. Both raise
what is in `errors`.
"""
