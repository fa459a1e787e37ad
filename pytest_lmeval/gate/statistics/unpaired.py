"""Against a published number without documents: the conservative rule of two independent samples.

The two runs saw the same questions, so that the truth is less variable than this rule takes it to be: it fails hardly
ever without a reason, and sees only large drops. All values are in the metric's unit, fractions or percent.
"""

from __future__ import annotations

import math

from pytest_lmeval.gate.statistics.estimate import SHOWN_LEVEL, Estimate

METHOD = "unpaired"
POWER = 0.8


def unpaired(
    value: float,
    reference: float,
    n: int,
    *,
    sigma: float | None,
    alpha: float,
    higher_is_better: bool,
    reference_n: int | None = None,
) -> Estimate:
    """Compare ``value``, over ``n`` documents, with a published ``reference``.

    ``sigma`` is the standard deviation of one document's value; None takes that of an accuracy of ``reference``, which
    must then be between 0 and 1. With 0 the numbers are compared exactly. ``reference_n`` is how many documents the
    reference is over, by default as many. The note says what drop is seen with a power of 0.8. Raises ValueError for
    numbers that cannot be.
    """
    sigma = deviation(reference, n) if sigma is None else sigma
    scale = _scale(n, sigma, reference_n)
    if not (math.isfinite(value) and math.isfinite(reference)):
        raise ValueError(f"expected finite numbers to compare, found {value} and {reference}")
    from scipy.special import ndtr, ndtri

    difference = value - reference if higher_is_better else reference - value
    half = -float(ndtri((1 - SHOWN_LEVEL) / 2)) * scale
    detectable = unpaired_detectable(n, sigma, alpha, POWER, reference_n)
    return Estimate(
        method=METHOD,
        n=n,
        difference=difference,
        stderr=scale,
        p_worse=float(ndtr(difference / scale)) if scale else float(difference >= 0),
        p_better=float(ndtr(-difference / scale)) if scale else float(difference <= 0),
        lower=difference + float(ndtri(alpha)) * scale,
        low=difference - half,
        high=difference + half,
        note=f"unpaired: sees only drops of {detectable:.3g} or more",
    )


def deviation(reference: float, n: int) -> float:
    """Standard deviation of right-or-wrong outcomes of which ``reference``, a fraction, are right.

    Never 0: at most all but one of n + 2 are taken to be alike. Raises ValueError outside of 0 to 1.
    """
    if not 0 <= reference <= 1:
        raise ValueError(f"sigma: has to be given for a reference that is no accuracy between 0 and 1, as {reference}")
    share = min(max(reference, 1 / (n + 2)), 1 - 1 / (n + 2))
    return math.sqrt(share * (1 - share))


def unpaired_threshold(
    reference: float, n: int, sigma: float, alpha: float, higher_is_better: bool, reference_n: int | None = None
) -> float:
    """The value at which the rule rejects: ``reference + z_a · sqrt(2 σ² / n)``, or minus where lower is better.

    ``z_a`` is the normal quantile of ``alpha``, negative below one half.
    """
    from scipy.special import ndtri

    step = float(ndtri(alpha)) * _scale(n, sigma, reference_n) if sigma else 0.0
    return reference + step if higher_is_better else reference - step


def unpaired_detectable(n: int, sigma: float, alpha: float, power: float, reference_n: int | None = None) -> float:
    """The drop that the rule sees with ``power``: ``-(z_a + z_b) · sqrt(2 σ² / n)``, z_b that of 1 - power."""
    from scipy.special import ndtri

    return float(ndtri(power) - ndtri(alpha)) * _scale(n, sigma, reference_n)


def _scale(n: int, sigma: float, reference_n: int | None) -> float:
    """Standard error of the difference of two means."""
    other = n if reference_n is None else reference_n
    if n < 1 or other < 1 or not (sigma >= 0 and math.isfinite(sigma)):
        raise ValueError(f"expected documents and a finite sigma of at least 0, found {n}, {other} and {sigma}")
    return sigma * math.sqrt(1 / n + 1 / other)
