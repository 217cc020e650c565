"""Trips: the canonical schema, the readers of published files, and the cleaning rules.

Imports neither Dagster nor a store. Everything here works in a notebook with pyarrow.
"""
