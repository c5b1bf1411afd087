"""The page in the browser: static files that are a client of the public API, and nothing else."""
