"""Scanning: items to RESULTS, once each, whatever happens on the way."""
