"""Where trips are kept: GCS, BigQuery and Postgres, a room each.

Plain classes over the stores' own clients. Knows no Dagster: all of it works in a notebook. Every
store replaces a month whole or not at all, and maps its client's errors to the two kinds in
``taxi_platform.errors``; it does not retry.
"""
