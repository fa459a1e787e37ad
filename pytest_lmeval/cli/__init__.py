"""``python -m pytest_lmeval``: what is done with recorded runs, apart from a test run."""
