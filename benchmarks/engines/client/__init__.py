"""How many requests a second the client of the openai backend sustains, and whether its memory grows with them.

``python -m benchmarks.engines.client --help``. A server in another process, on another core, answers at once.
"""
