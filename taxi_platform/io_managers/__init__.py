"""The IO managers: a thin layer over ``taxi_platform.stores``.

An IO manager derives the month from the Dagster context, calls the store, and records the result as
metadata. Loading, and mapping of errors, are in the store.
"""
