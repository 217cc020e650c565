"""Assets of your own: what lies here is found by itself and loaded beside the platform's.

`dg scaffold defs dagster.asset tips.py` makes a first one; docs/architecture.md has examples.
"""
