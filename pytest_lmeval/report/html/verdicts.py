"""Verdicts as the page shows them: a word, a sign, and a tone, so that none is told by colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_lmeval.gate.verdict import Status
from pytest_lmeval.report.rows import ReportRow

BAD, WARN, GOOD, PLAIN = "bad", "warn", "good", "plain"
SIGNS = {BAD: "✗", WARN: "!", GOOD: "✓", PLAIN: "○"}

# Worst first.
_WORDS: dict[str, tuple[str, str]] = {
    Status.ERROR: ("Error", BAD),
    Status.INCOMPARABLE: ("Incomparable", BAD),
    Status.BELOW_THRESHOLD: ("Below threshold", BAD),
    Status.REGRESSED: ("Regressed", BAD),
    Status.DRIFT: ("Drift", WARN),
    Status.INCONCLUSIVE: ("Inconclusive", WARN),
    Status.REGRESSED_WITHIN_MARGIN: ("Within margin", WARN),
    Status.NO_BASELINE: ("No baseline", PLAIN),
    Status.RECORDED: ("Recorded", PLAIN),
    Status.IMPROVED: ("Improved", GOOD),
    Status.PASS: ("Pass", GOOD),
}
_ORDER = list(_WORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """``word`` names the verdict, ``tone`` is "bad", "warn", "good" or "plain"."""

    word: str
    tone: str

    @property
    def sign(self) -> str:
        """One character that tells the tone."""
        return SIGNS[self.tone]


def badge_of(verdict: str, *, passed: bool) -> Badge:
    """Show a verdict: what failed is bad whatever its name, and what passed never is."""
    word, tone = _WORDS.get(verdict, (verdict.replace("-", " ").capitalize(), GOOD if passed else BAD))
    if not passed:
        tone = BAD
    elif tone == BAD:
        # A leaf whose group decides in its place passes whatever was found.
        tone = WARN
    return Badge(word=word, tone=tone)


def badness(row: ReportRow) -> tuple[bool, int]:
    """Sort key, the worst first."""
    return row.passed, _ORDER.index(row.verdict) if row.verdict in _ORDER else -1
