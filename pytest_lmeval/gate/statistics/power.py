"""How small a drop can be seen, and how many documents it takes.

For right-or-wrong metrics ``psi`` is the share of documents that change between two runs of equal models: measured in
runs of the same model, or a prior. Drops, margins and shares are fractions; tests are one-sided.
"""

from __future__ import annotations

import math

from pytest_lmeval.gate.statistics.binary import tango_z


def detectable_binary(n: int, psi: float, *, alpha: float, power: float = 0.8) -> float:
    """The smallest true drop that ``n`` documents show with ``power``, at most ``psi``.

    Solves ``n = ((z_a √ψ + z_b √(ψ - d²)) / d)²`` for d, with the normal quantiles of 1 - alpha and of the power
    (Miettinen, Biometrics 24:339, 1968; Connor, Biometrics 43:207, 1987). A value of ``psi`` itself says that every
    change would have to be for the worse, and may not suffice. Raises ValueError for a ``psi`` outside of (0, 1].
    """
    _check(n, psi)
    z_alpha, z_beta = _quantiles(alpha, power)
    inner = n + z_beta**2 - z_alpha**2
    if inner < 0:
        return psi
    drop = math.sqrt(psi) * (math.sqrt(n) * z_alpha + z_beta * math.sqrt(inner)) / (n + z_beta**2)
    return min(drop, psi)


def documents_needed(drop: float, psi: float, *, alpha: float, power: float = 0.8) -> int:
    """How many documents show a true ``drop`` with ``power``; the formula is that of :func:`detectable_binary`.

    A drop above ``psi`` changes as many documents itself. Raises ValueError for a drop of 0 or less.
    """
    _check_drop(drop)
    psi = max(psi, drop)
    _check(1, psi)
    z_alpha, z_beta = _quantiles(alpha, power)
    return math.ceil(((z_alpha * math.sqrt(psi) + z_beta * math.sqrt(psi - drop**2)) / drop) ** 2)


def noninferiority_documents(margin: float, psi: float, *, alpha: float, power: float = 0.8) -> int:
    """How many documents show that an equal model is not worse by ``margin``: ``(z_a + z_b)² ψ / margin²``."""
    _check_drop(margin)
    _check(1, psi)
    z_alpha, z_beta = _quantiles(alpha, power)
    return math.ceil((z_alpha + z_beta) ** 2 * psi / margin**2)


def noninferiority_power(flips: int, n: int, margin: float, *, alpha: float) -> float:
    """How often an equal model that changes ``flips`` of ``n`` documents is shown not to be worse by ``margin``.

    Exact: given their number each change is for the worse with probability 1/2, and what is shown is decided by
    Tango's score test at ``alpha`` (Stat Med 17:891, 1998). The normal approximation behind
    :func:`noninferiority_documents` is far off where few documents change. Raises ValueError for counts that cannot be.
    """
    _check_drop(margin)
    if not 0 <= flips <= n:
        raise ValueError(f"expected at most {n} changes, found {flips}")
    from scipy.special import bdtr, ndtri

    quantile = -float(ndtri(alpha))
    # The most changes for the worse with which it is still shown, by halving; -1 where it is with none.
    low, high = -1, flips + 1
    while high - low > 1:
        middle = (low + high) // 2
        shown = tango_z(middle, flips - middle, n, -margin) > quantile
        low, high = (middle, high) if shown else (low, middle)
    return float(bdtr(low, flips, 0.5)) if low >= 0 else 0.0


def detectable_continuous(stderr: float, *, alpha: float, power: float = 0.8) -> float:
    """The smallest true drop that a difference with this standard error shows with ``power``, in its unit."""
    return sum(_quantiles(alpha, power)) * stderr


def design_effect(mean_cluster_size: float, correlation: float) -> float:
    """By what factor clusters inflate a variance: ``1 + (m - 1) r`` for a correlation r (Kish 1965).

    ``n`` documents are then worth ``n`` over it. At least 1: a negative correlation within clusters is not relied on.
    """
    return max(1.0, 1 + (mean_cluster_size - 1) * correlation)


def observed_design_effect(stderr_clustered: float, stderr_naive: float) -> float:
    """The same from the squares of both standard errors, at least 1; 1 where there is no naive one."""
    return max(1.0, (stderr_clustered / stderr_naive) ** 2) if stderr_naive else 1.0


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    from scipy.special import ndtri

    return float(-ndtri(alpha)), float(ndtri(power))


def _check(n: int, psi: float) -> None:
    if n < 1 or not 0 < psi <= 1:
        raise ValueError(f"expected documents and a share of changed ones above 0, found {n} and {psi}")


def _check_drop(drop: float) -> None:
    if not 0 < drop <= 1:
        raise ValueError(f"expected a drop between 0 and 1, found {drop}")
