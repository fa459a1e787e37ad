"""How many documents flip between two runs: what a test's power depends on, and has to be assumed before it runs.

The flip rate (psi) is the share of the documents that are right in one of two runs and wrong in the other. The
variance of the differences of a metric with values in [0, 1] is at most the share of documents whose value moved, so
the same number serves metrics that are not binary: for them it errs towards more documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

_CONFIDENCE = 0.95
#: Priors by preset, where no calibration tells. Runs of one model on other kernels flip some 2 % of the documents, FP8
#: 5 to 9 %, INT4 10 to 13 % (Kübler et al. 2026, arXiv 2602.10144; Dutta et al. 2024, arXiv 2407.09141). A finetune
#: flips more than any of these.
PRIORS: Mapping[str, float] = MappingProxyType(
    {
        "default": 0.05,
        "lossless": 0.02,
        "quantized": 0.10,
        "finetune": 0.15,
        "smoke": 0.10,
        "strict": 0.05,
        "off": 0.05,
    }
)
# What these compare is another model by intention: it flips documents that no repetition of one model would.
_CHANGES = ("quantized", "finetune")


@dataclass(frozen=True, slots=True)
class FlipRate:
    """``value`` between 0 and 1; ``calibrated`` where repeated runs told, else a prior."""

    value: float
    calibrated: bool


def expected_flip_rate(preset: str, flips: Sequence[int] = (), documents: int = 0) -> FlipRate:
    """Tell what share of the documents a comparison under ``preset`` will flip.

    ``flips`` are those of each repeated run against the recorded one, of ``documents``. Where there were any, their
    upper confidence bound counts; under presets for changed models it counts only if it is above the prior.
    """
    prior = PRIORS[preset]
    if not documents or not sum(flips):
        return FlipRate(prior, calibrated=False)
    measured = upper_bound(sum(flips) / len(flips), documents)
    if preset in _CHANGES and measured <= prior:
        return FlipRate(prior, calibrated=False)
    return FlipRate(measured, calibrated=True)


def upper_bound(flips: float, documents: int) -> float:
    """Return Clopper and Pearson's one-sided upper bound (95 %) on the share of ``flips`` in ``documents``.

    Repeated runs are averaged to one before: they share the recorded run, so they do not add up to more documents.
    (Clopper & Pearson 1934, Biometrika 26:404.)
    """
    from scipy.special import betaincinv

    if flips >= documents:
        return 1.0
    return float(betaincinv(flips + 1, documents - flips, _CONFIDENCE))
