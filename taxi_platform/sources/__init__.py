"""Where months are published: over HTTP, in a folder, or synthetic.

A source says which version of a month it has and brings the file's bytes. Where the file is kept
afterwards is the landing zone's business. Knows no Dagster.
"""
