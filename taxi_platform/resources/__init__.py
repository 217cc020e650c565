"""Dagster resources for sources, landing zone and stores.

Their config contains no secrets, because the UI shows it: secrets are read from the environment
when a client is created.
"""
