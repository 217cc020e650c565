"""Pictures of the marts, and the report: one HTML file that requests nothing.

``figures`` asks a store, ``shapes`` has the map, ``pictures`` are Vega-Lite specifications,
``drawing`` renders one as SVG, ``page`` writes the file. Nothing here knows Dagster.
"""
