"""Dagster configuration of the clients: what a store needs to know, and no more."""
