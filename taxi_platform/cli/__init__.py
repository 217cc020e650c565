"""`taxi-platform`: the commands beside Dagster's own.

A command parses its options, calls the package and prints. What it prints about is decided
elsewhere. Heavy modules are imported within the command that needs them.
"""
