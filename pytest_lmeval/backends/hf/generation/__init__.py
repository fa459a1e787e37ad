"""Texts written token by token."""
