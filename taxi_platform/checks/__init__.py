"""Asset checks: most of them block, the others warn.

``cleaned`` checks a month after it is cleaned and before it is loaded. ``reconciliation`` compares
each copy of it with its source.
"""
