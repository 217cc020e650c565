"""BigQuery: trip tables, one a color, a partition a month."""
