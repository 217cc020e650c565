"""Automation: jobs, the schedule, sensors, alerts, and backfills by command.

Assets define what is loaded and how. This package decides when, and sends alerts.
"""
