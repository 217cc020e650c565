"""The landing zone: published files, cleaned Parquet and rejected rows, each whole or not at all.

What a trip is does not belong here, nor what the stores make of the files. Knows no Dagster.
"""
