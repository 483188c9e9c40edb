"""Many pictures through one engine."""
