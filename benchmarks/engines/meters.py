"""How many tokens an engine was sent and computed, and making it forget what it computed before."""

from __future__ import annotations

import re
import time
import urllib.request
from dataclasses import dataclass
from typing import Any, Protocol

# The server writes its counters a moment after the last answer.
SETTLING = 0.5


@dataclass(frozen=True, slots=True)
class Count:
    """Prompt tokens ``sent``; tokens ``computed``, those generated among them. None where it cannot be known."""

    sent: int | None = None
    computed: int | None = None


class Meter(Protocol):
    """What an engine does between ``restart`` and ``read``."""

    def restart(self) -> None:
        """Empty the engine's prefix cache and count from zero."""

    def read(self) -> Count:
        """What was counted since."""


class NoMeter:
    """For an engine that neither keeps anything between calls nor says what it computed."""

    def restart(self) -> None:
        """There is nothing to forget."""

    def read(self) -> Count:
        """Nothing is known."""
        return Count()


class EngineMeter:
    """vLLM's own scheduler, in this process.

    Both ours and lm-eval's engine have it, whatever they do around it, and it says what runs: prompts as they come in,
    and how many tokens each step computes.
    """

    def __init__(self) -> None:
        from vllm.v1.core.sched.scheduler import Scheduler

        self._scheduler: Any = None
        self._sent = self._computed = 0
        add_request, schedule = Scheduler.add_request, Scheduler.schedule

        def adding(scheduler: Any, request: Any) -> None:
            self._scheduler = scheduler
            self._sent += request.num_prompt_tokens
            add_request(scheduler, request)

        def scheduling(scheduler: Any, *arguments: Any, **keywords: Any) -> Any:
            step = schedule(scheduler, *arguments, **keywords)
            self._computed += step.total_num_scheduled_tokens
            return step

        Scheduler.add_request, Scheduler.schedule = adding, scheduling

    def restart(self) -> None:
        """Raises RuntimeError where the engine is not idle."""
        if self._scheduler is not None and not self._scheduler.reset_prefix_cache():
            raise RuntimeError("vLLM did not empty its prefix cache: requests are still running")
        self._sent = self._computed = 0

    def read(self) -> Count:
        """Read the counters."""
        return Count(self._sent, self._computed)


class ServerMeter:
    """A vLLM server with ``VLLM_SERVER_DEV_MODE=1``, by what ``/metrics`` says."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._before = Count(0, 0)

    def restart(self) -> None:
        """Raises OSError where the server does not empty its cache."""
        request = urllib.request.Request(f"{self._url}/reset_prefix_cache", method="POST")
        with urllib.request.urlopen(request, timeout=60):
            self._before = self._now()

    def read(self) -> Count:
        """Read the difference of the counters."""
        time.sleep(SETTLING)
        now, before = self._now(), self._before
        assert now.sent is not None
        assert now.computed is not None
        assert before.sent is not None
        assert before.computed is not None
        return Count(now.sent - before.sent, now.computed - before.computed)

    def _now(self) -> Count:
        with urllib.request.urlopen(f"{self._url}/metrics", timeout=60) as response:
            return counted(response.read().decode())


def counted(metrics: str) -> Count:
    """Read the counters of a vLLM server's ``/metrics``. Raises ValueError where there are none."""
    prompt = _total(metrics, "prompt_tokens")
    return Count(prompt, prompt - _total(metrics, "prompt_tokens_cached") + _total(metrics, "generation_tokens"))


def _total(metrics: str, name: str) -> int:
    found = re.findall(rf"^vllm:{name}_total(?:\{{[^}}]*\}})? (\S+)$", metrics, re.MULTILINE)
    if not found:
        raise ValueError(f"the server's /metrics has no vllm:{name}_total")
    return int(sum(map(float, found)))
