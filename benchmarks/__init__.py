"""Measurements of speed and memory. Not part of what is installed."""
