"""The converter's version."""

VERSION = "1"
"""Of what the converter writes: a part of a cached file's name. Raise it with every change of the output."""
