"""Tasks: from a YAML file to requests, and from answers to scores. Knows nothing of pytest or of models."""
