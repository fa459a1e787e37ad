"""Filters that choose among the responses to a request."""

from __future__ import annotations

from collections import Counter

from pytest_lmeval.tasks.filters.base import Documents, Filter, Responses


def take_first() -> Filter:
    """Keep the first response of each request, without its list."""
    return lambda responses, documents: [row[0] for row in responses]


def take_first_k(k: int) -> Filter:
    """Keep the first ``k`` responses of each request."""

    def run(responses: Responses, documents: Documents) -> Responses:
        if responses and len(responses[0]) < k:
            raise ValueError(f"take_first_k: {k} responses needed, {len(responses[0])} there: raise repeats")
        return [row[:k] for row in responses]

    return run


def majority_vote() -> Filter:
    """Keep the most frequent response; among equals the one seen first."""
    return lambda responses, documents: [[Counter(row).most_common(1)[0][0]] for row in responses]
