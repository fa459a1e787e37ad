"""The HTML report: one file that needs no network, with every document of the run in it."""
