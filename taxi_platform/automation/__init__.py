"""What runs without a hand: jobs, the schedule, sensors, alerts, and backfills by command.

What is loaded, and how, is decided in the assets; here only when, and who is told.
"""
