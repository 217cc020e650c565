"""What is kept: datasets, tables and their rows, and query results, in DuckDB files.

Belongs here: the files and their locks, the catalog, how rows lie, column types, partitioning, and
the checks of what may be kept. It knows nothing of queries, jobs and requests.
"""
