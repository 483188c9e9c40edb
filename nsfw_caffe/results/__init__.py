"""RESULTS: what is known of each source, as a CSV, JSON Lines, Parquet or SQLite file."""
