"""The assets: five for each month, and the zones. A few lines each."""
