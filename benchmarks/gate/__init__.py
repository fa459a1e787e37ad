"""False-alarm rates and power of the regression gate, by simulation and where possible by enumeration.

``python -m benchmarks.gate`` prints a Markdown table. A family of rows is a module with a function ``rows``; the list
of families is in :mod:`benchmarks.gate.families`.
"""
