"""Whether more documents changed sides than between two runs of the same model: what lossless changes must not do."""

from __future__ import annotations

from pytest_lmeval.baselines.record import Noise
from pytest_lmeval.gate.evidence import Evidence
from pytest_lmeval.gate.statistics.intervals import clopper_pearson

# The noise itself was measured on few runs: its rate is taken to be as large as it may be at this one-sided level.
_SURE = 0.99


def too_many_flips(evidence: Evidence, noise: Noise | None, *, alpha: float) -> str | None:
    """Say so where the flips are more than the baseline's noise explains, at ``alpha``; None without either."""
    if noise is None or evidence.regressed is None or evidence.improved is None or not noise.n or not noise.runs:
        return None
    from scipy.stats import binom

    flips, n = evidence.regressed + evidence.improved, evidence.estimate.n
    # Further runs share the recorded one: they count as one run, not as so many more documents.
    seen = round(sum(noise.flips) / noise.runs)
    _, rate = clopper_pearson(seen, noise.n, 2 * _SURE - 1)
    if not float(binom.sf(flips - 1, n, rate)) < alpha:
        return None
    return (
        f"{flips:,} of {n:,} documents changed sides, and no more than {100 * rate:.2g} % do between two runs of the "
        "same model"
    )
