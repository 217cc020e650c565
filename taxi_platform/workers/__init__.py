"""Runs on workers, on this host or others: dagster-celery, and what its launcher lacks.

Celery hands a run's id to a worker. Everything else is in Dagster's own storage, which every host
reaches: which workers there are, what they execute, and which runs are to end. So no run depends on
what the broker remembers.
"""
