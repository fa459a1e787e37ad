"""Text to tokens and tokens to answers: what backends that know their model's tokenizer share. Imports no engine."""
