"""Sources of published months: over HTTP, in a folder, or synthetic.

A source returns the version of a month, and downloads its file. The landing zone stores the file.
Does not import Dagster.
"""
