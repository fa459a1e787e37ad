"""What a printed command and a report leave out."""

from __future__ import annotations

import pytest

from pytest_lmeval.options.secret import without_secrets

URL = "slack://token/a/b"


@pytest.mark.parametrize(
    "given",
    [
        [f"--lm-notify={URL}"],
        ["--lm-notify", URL],
        ["--lm-history", URL],
        ["-o", f"lm_notify={URL}"],
        [f"-olm_history={URL}"],
        ["--override-ini", f"lm_notify={URL}"],
        [f"--override-ini=lm_history={URL}"],
        ["--lm-notify"],
    ],
)
def test_secrets_are_dropped_and_nothing_else(given: list[str]) -> None:
    others = ["--lm-model=demo", "-k", "rivers", "-o", "lm_limit=3", "-olm_seed=1", "--lm-notify-on=always", "tasks"]
    assert without_secrets([*others, *given]) == others
    assert not any(URL in word for word in without_secrets([*given, *others]))
