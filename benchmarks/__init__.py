"""Benchmarks of the platform and its peers: see ``python -m benchmarks --help``.

A bench is a module of its own and holds its contenders. How they are run in turn, timed and
compared is the business of ``contest``; what is printed of it, of ``report``.
"""
