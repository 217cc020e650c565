"""Postgres: trip tables, one a color, a child table a month."""
