"""From one evaluated task to a verdict with its reasons. Pure functions: no pytest, no torch, no files."""
