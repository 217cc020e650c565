"""Answers requests. What is kept, and how, is the business of `storage`."""
