"""What a run with ``--lm-detect`` set out to see, and what to say of a result that cannot show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from pytest_lmeval.gate.sight import Need
from pytest_lmeval.results import TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """``needs`` are by task or group. Of ``bounded`` tasks only the documents of their baselines were to choose from.

    ``whole`` are the tasks and groups whose metric has no such size: all of their documents are asked.
    """

    needs: Mapping[str, Need] = field(default_factory=lambda: MappingProxyType({}))
    bounded: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    def told(self, result: TaskResult) -> TaskResult:
        """Add a warning to a result that cannot show what it was asked to show."""
        warning = self._warning(result)
        return replace(result, warnings=(*result.warnings, warning)) if warning else result

    def _warning(self, result: TaskResult) -> str:
        if result.task in self.whole:
            return f"{result.main_metric} is no mean of documents' values, so --lm-detect asked all of them"
        need = self.needs.get(result.task)
        shortfall = need.shortfall(result.n) if need is not None and result.stopped is None else ""
        limited = " (the baseline has no more)" if result.task in self.bounded else ""
        return f"--lm-detect: {shortfall}{limited}" if shortfall else ""
