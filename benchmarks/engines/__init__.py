"""The vllm and openai backends beside lm-eval's, on the same engine: ``python -m benchmarks.engines --help``.

Both get the same weights, the same engine arguments and the same requests, each in a process of its own that is kept
for all repeats. How fast the client of the openai backend is by itself: ``python -m benchmarks.engines.client``. What
is measured and how is said in ``benchmarks/README.md``.
"""
