"""Marts: small tables that a store computes of its trips by SQL, a month of a color at a time.

``definitions`` has one file for each mart. ``mart`` says what a mart is, ``relations`` what its SQL
reads, ``loading`` replaces a month's marts in a store, ``checking`` compares them with the trips.
Nothing here knows Dagster.
"""
