"""Asset checks: nearly all of them block, the others warn.

A month is judged after it is cleaned and before it is stored (``cleaned``), and each copy of it is
compared with what it was made from (``reconciliation``).
"""
