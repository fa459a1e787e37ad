"""The gate's statistics: pure functions from numbers to estimates, p-values, bounds and sample sizes."""
