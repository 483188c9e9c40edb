"""How good scores are on labelled data, and where to put a threshold."""
