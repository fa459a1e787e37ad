"""Send an alert through Apprise, and say what did not arrive without repeating a URL: they hold tokens."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from pytest_lmeval.alerts.message import Message
from pytest_lmeval.errors import SettingsError

#: Seconds for an alert, its second attempt included. All services are told at once.
LIMIT = 10.0
# What a server says of itself, not of the request: it may have passed in a second.
_PASSING = frozenset({429, 500, 502, 503, 504})
_PAUSE = 1.0
_STATUS = re.compile(r"\berror=(\d{3})\b")
# Their debug messages have the URLs in them.
_HTTP_LOGGERS = ("urllib3", "urllib3.connectionpool", "requests")
#: What Apprise says of the delivery that is being made, in whichever thread it makes it.
_SAID: ContextVar[list[str] | None] = ContextVar("lmeval_alert", default=None)


@dataclass(slots=True)
class _Delivery:
    """One service's alert, sent by a thread of its own. ``problem`` is None when it arrived."""

    service: Any
    message: Message
    limit: float
    problem: str | None = field(default=None)
    thread: threading.Thread = field(init=False)

    def start(self) -> None:
        """Begin. The thread does not keep the process alive: a server that never answers would."""
        self.problem = f"no answer within {self.limit:g} s"
        self.thread = threading.Thread(target=self._send, name="lmeval-alert", daemon=True)
        self.thread.start()

    def _send(self) -> None:
        # Threads have no caller to raise to, and services are plugins that may raise anything.
        try:
            self.problem = self._attempts()
        except Exception as error:  # noqa: BLE001
            self.problem = f"the service's plugin failed: {type(error).__name__}"

    def _attempts(self) -> str | None:
        first, status = self._attempt()
        if first is None or status not in _PASSING:
            return first
        time.sleep(_PAUSE)
        second, _ = self._attempt()
        return None if second is None else f"{second}, twice"

    def _attempt(self) -> tuple[str | None, int | None]:
        """Send once; return what went wrong, and the HTTP status where the server gave one."""
        from apprise import Apprise, NotifyFormat, NotifyType

        one = Apprise()
        one.add(self.service)
        kind = NotifyType.FAILURE if self.message.failed else NotifyType.SUCCESS
        said: list[str] = []
        _SAID.set(said)
        arrived = one.notify(
            title=self.message.title, body=self.message.body, notify_type=kind, body_format=NotifyFormat.TEXT
        )
        if arrived:
            return None, None
        found = _STATUS.search("\n".join(said))
        return (f"the server answered {found[1]}", int(found[1])) if found else ("it could not be reached", None)


def send(urls: Sequence[str], message: Message, *, limit: float = LIMIT) -> list[str]:
    """Send to every service, and return a line for each that was not told. Raises SettingsError without Apprise."""
    try:
        from apprise import Apprise
    except ModuleNotFoundError:
        raise SettingsError("Apprise is not installed: pip install 'pytest-lmeval[notify]'") from None
    restore = _silence()
    services = [Apprise.instantiate(url, asset=_asset()) for url in urls]
    deliveries = [None if service is None else _Delivery(service, message, limit) for service in services]
    _deliver([delivery for delivery in deliveries if delivery is not None], limit)
    # Read once: a late answer changes nothing about what is told.
    problems = ["its URL is none that Apprise knows" if d is None else d.problem for d in deliveries]
    if all(delivery is None or not delivery.thread.is_alive() for delivery in deliveries):
        restore()
    return [
        f"alert {at} of {len(urls)} ({_name(services[at - 1])}) was not sent: {problem}"
        for at, problem in enumerate(problems, 1)
        if problem is not None
    ]


def _asset() -> Any:
    """Apprise's settings without its own limit, which moves the work to threads that a process waits for at its end."""
    from apprise import AppriseAsset

    try:
        return AppriseAsset(service_timeout=0)
    except (AttributeError, TypeError):
        # Older versions have no such limit.
        return AppriseAsset()


def _deliver(deliveries: Sequence[_Delivery], limit: float) -> None:
    """Start all, and wait for them together."""
    end = time.monotonic() + limit
    for delivery in deliveries:
        delivery.start()
    for delivery in deliveries:
        delivery.thread.join(max(0.0, end - time.monotonic()))


def _name(service: Any) -> str:
    """The kind of service. Not its URL, of which any part may be a secret."""
    return "unknown service" if service is None else str(service.service_name)


class _Collect(logging.Filter):
    """Take what Apprise says of a delivery, which returns no reason, and let nothing of it through."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = _SAID.get()
        if said is not None and record.levelno >= logging.WARNING:
            said.append(record.getMessage())
        return False


def _silence() -> Callable[[], None]:
    """Keep what these libraries log from reports and log files, at whatever level; return what undoes that."""
    collect, apprise = _Collect(), logging.getLogger("apprise")
    before = [(logger, logger.level) for logger in map(logging.getLogger, _HTTP_LOGGERS)]
    apprise.addFilter(collect)
    for logger, _ in before:
        logger.setLevel(logging.CRITICAL + 1)

    def restore() -> None:
        apprise.removeFilter(collect)
        for logger, level in before:
            logger.setLevel(level)

    return restore
