"""A local stand-in for BigQuery: its REST API v2 over DuckDB for storage and SQLGlot for SQL.

It covers what the platform and its users' clients need. Whatever it does not cover is answered
HTTP 501 with a plain message, so that no answer is ever silently wrong.

Start it with ``python -m taxi_platform.local.bigquery``. Nothing of it is imported by the platform,
which talks to it over HTTP through Google's own client, as it talks to BigQuery.
"""
