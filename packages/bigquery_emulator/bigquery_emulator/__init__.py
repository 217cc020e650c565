"""A local stand-in for BigQuery: its REST API v2 over DuckDB for storage and SQLGlot for SQL.

What it does not cover it answers with HTTP 501 and a plain message, so that no answer is ever
silently wrong. It is a server, not a library: start it with ``bigquery-emulator`` or
``python -m bigquery_emulator``, and talk to it through any client of BigQuery.

Imports point one way: `api`, which answers requests, `jobs`, which do the work, `sql`, which
understands and translates queries, `storage`, which keeps data. All of them raise what is in
`errors`.
"""
