"""How each asset meets its store: thin, over ``taxi_platform.stores``.

An IO manager turns a Dagster context into a month, calls the store, and describes what came of it
as metadata. What a store does, and how it fails, is the store's business.
"""
