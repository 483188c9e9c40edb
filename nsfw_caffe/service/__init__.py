"""The HTTP service: scores, heat maps, a gate for uploads, and a page."""
