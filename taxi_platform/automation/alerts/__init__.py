"""Alerts: failures, overdue months and recoveries, sent to people."""
