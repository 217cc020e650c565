"""Load and query jobs: what a client asked for, checked, then done in one transaction.

Belongs here: job configurations, a job's life, reading files, running statements, writing to a
destination. Not the meaning of SQL (`sql`), and nothing of HTTP towards the client (`api`).
"""
