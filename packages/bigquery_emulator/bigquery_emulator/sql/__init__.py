"""BigQuery's SQL: taken apart, checked, and rewritten as SQL for DuckDB.

Belongs here: what is supported, what names and types mean, and the macros that give DuckDB
BigQuery's semantics. Nothing here changes data: statements are run in `jobs`.
"""
