"""What a trip is: the canonical schema, the reader of published files, the cleaning rules.

Knows no Dagster and no store: everything here works in a notebook with pyarrow alone.
"""
