"""Attention of our own inside transformers' models."""
