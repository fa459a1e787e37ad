"""Ways to get log-probabilities of given tokens from a server, one file for each."""
