"""Google Cloud Storage: cleaned months as objects of one bucket."""
