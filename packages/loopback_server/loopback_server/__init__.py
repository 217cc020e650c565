"""What the local emulators share: an HTTP server for one user of one machine, and uploads.

What the emulators answer does not belong here.
"""
