"""The stores of trips: GCS, BigQuery and Postgres, one package each.

Plain classes over the stores' own clients, without Dagster: they work in a notebook. Every
store replaces a month whole or not at all, and maps its client's errors to the two kinds in
``taxi_platform.errors``; it does not retry.
"""
