"""The embedded stack: what the platform talks to in the cloud, as processes on this machine.

Nothing here is imported by the platform itself, which only ever sees addresses.
"""
