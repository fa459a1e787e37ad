"""Regression tests for language models, as ordinary pytest tests."""

__version__ = "0.1.0"
