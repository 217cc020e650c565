"""Alerts: what went wrong, what is late, and what came right again, told to people."""
