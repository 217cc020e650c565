"""The landing zone: published files, cleaned Parquet and rejected rows, each complete or absent.

Reading trips belongs to ``trips``, loading them to ``stores``. Does not import Dagster.
"""
