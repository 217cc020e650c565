"""Dagster configuration of sources, landing zone and stores: what a client needs, and no more.

Secrets are no part of it: they are read from the environment where a client is made, so that the
UI shows none.
"""
