"""The platform and its peers, side by side: see ``python -m benchmarks --help``."""
