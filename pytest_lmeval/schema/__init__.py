"""A JSON Schema of task files, for editors: generated from the dataclasses that the files are read into."""
