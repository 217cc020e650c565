"""What is produced: the five assets of a month, and the zones. A few lines each."""
