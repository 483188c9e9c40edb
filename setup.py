"""Packaging: everything that can be said without code stands in pyproject.toml."""

from setuptools import setup

setup()
