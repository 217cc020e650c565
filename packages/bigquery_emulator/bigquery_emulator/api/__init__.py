"""The REST API: requests taken apart, answers put together.

Belongs here: routes, the shapes of resources, rows and errors in answers, paging, uploads. Not how
a job is done (`jobs`), nor what may be kept of a dataset or a table (`storage`).
"""
