"""A model's files: where they are, its tokenizer, and what goes wrong with them. Imports transformers, not torch."""
