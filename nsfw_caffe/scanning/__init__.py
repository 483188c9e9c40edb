"""Scanning: from folders, lists and archives to RESULTS, once each, whatever happens on the way."""
