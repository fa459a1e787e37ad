"""What an earlier run answered, in a small file next to the tests: its format, its place, its writing."""
