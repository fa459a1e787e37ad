"""Runs of lm-evaluation-harness as runs of ours, and the other way round.

What is read here was written by another program, perhaps elsewhere: sizes are bounded, every field is checked, and no
path is made of a name in a file.
"""
