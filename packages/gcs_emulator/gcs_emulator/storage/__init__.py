"""Keeps buckets and objects on disk. Knows no HTTP."""
