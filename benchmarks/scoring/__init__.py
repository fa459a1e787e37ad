"""The hf backend and lm-eval's, side by side: ``python -m benchmarks.scoring --help``.

Both get the same weights and the same requests, each in fresh processes that take turns. What is measured and how is
said in ``benchmarks/README.md``.
"""
