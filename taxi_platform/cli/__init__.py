"""`taxi-platform`: the commands besides Dagster's own.

A command parses its options, calls the package and prints. It contains no logic of the platform.
Heavy modules are imported within the command that needs them.
"""
