from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count

import pytest

from benchmarks.engines import meters
from benchmarks.engines.meters import Count, NoMeter, ServerMeter, counted

METRICS = """\
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="model"} 1.2e+03
vllm:prompt_tokens_cached_total{engine="0",model_name="model"} 1000.0
vllm:prompt_tokens_by_source_total{engine="0",source="local_compute"} 77.0
vllm:generation_tokens_total{engine="0",model_name="model"} 30.0
"""


def test_counters_of_a_server() -> None:
    assert counted(METRICS) == Count(1200, 230)


def test_the_engines_of_a_server_are_added_up() -> None:
    assert counted(METRICS + METRICS.replace('engine="0"', 'engine="1"')) == Count(2400, 460)


def test_another_servers_metrics_are_refused() -> None:
    with pytest.raises(ValueError, match="prompt_tokens_total"):
        counted("llamacpp:prompt_tokens_total 3\n")


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server whose counter grows by 100 each time it is read, and what it was asked."""
    asked: list[str] = []
    numbers = count()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(METRICS.replace("1.2e+03", str(1200 + 100 * next(numbers))))

        def do_POST(self) -> None:
            self._reply("")

        def _reply(self, text: str) -> None:
            asked.append(f"{self.command} {self.path}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}", asked
    http.shutdown()
    thread.join()
    http.server_close()


def test_a_server_forgets_and_is_counted_from_there(
    server: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = server
    monkeypatch.setattr(meters, "SETTLING", 0.0)
    meter = ServerMeter(url)
    meter.restart()
    assert asked[0] == "POST /reset_prefix_cache"
    assert meter.read() == Count(100, 100)
    meter.restart()
    assert meter.read() == Count(100, 100)


def test_without_a_meter_nothing_is_known() -> None:
    meter = NoMeter()
    meter.restart()
    assert meter.read() == Count(None, None)
