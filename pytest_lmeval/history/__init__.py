"""Past runs in a database: how scores moved over time."""
