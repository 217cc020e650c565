"""A Dagster data platform for the monthly trip files of New York's TLC."""
