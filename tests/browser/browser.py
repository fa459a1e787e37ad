"""Opening a report and asking what is seen of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_SECONDS = 20


@dataclass(frozen=True)
class Browser:
    """A browser with one page."""

    driver: Chrome

    def open(self, path: Path, address: str = "") -> None:
        """Load a report and wait until it can be used. What was logged before is dropped."""
        self.driver.get("about:blank")
        self._log("browser")
        self._log("performance")
        self.driver.get(f"{path.as_uri()}{address}")
        self.wait(lambda: self.script("return performance.getEntriesByName('ready').length > 0"))

    def go(self, address: str) -> None:
        """Change the address as a link within the page does."""
        self.script("location.hash = arguments[0]", address)

    def wait(self, until: Callable[[], Any]) -> Any:
        """Wait for a condition; what the page draws anew meanwhile is looked up again."""
        drawn_anew = (StaleElementReferenceException,)
        return WebDriverWait(self.driver, _SECONDS, 0.02, drawn_anew).until(lambda _: until())

    def script(self, text: str, *arguments: Any) -> Any:
        """Run a script in the page and give what it returns."""
        return self.driver.execute_script(text, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        """The elements that are seen."""
        return [found for found in self.driver.find_elements(By.CSS_SELECTOR, selector) if found.is_displayed()]

    def one(self, selector: str) -> WebElement:
        """The first element that is seen, waited for."""
        found: WebElement = self.wait(lambda: next(iter(self.all(selector)), None))
        return found

    def says(self, selector: str, text: str) -> bool:
        """Wait until the first such element has this in its text."""
        return bool(self.wait(lambda: text in self.one(selector).text))

    def click(self, selector: str, text: str = "") -> None:
        """Click the first seen element that has this text."""

        def clicked() -> bool:
            found = next((found for found in self.all(selector) if text in found.text), None)
            if found is not None:
                found.click()
            return found is not None

        self.wait(clicked)

    def press(self, keys: str) -> None:
        """Type where the focus is."""
        self.driver.switch_to.active_element.send_keys(keys)

    def size(self, width: int, height: int = 900) -> None:
        """See the page on a screen of this size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def theme(self, name: str) -> None:
        """Let the system prefer "light" or "dark"."""
        feature = {"name": "prefers-color-scheme", "value": name}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def complaints(self) -> list[str]:
        """What the console has of errors and warnings since the page was opened."""
        return [entry["message"] for entry in self._log("browser") if entry["level"] != "INFO"]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the page was opened."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        sent = (message["params"] for message in messages if message["method"] == "Network.requestWillBeSent")
        return [params["request"]["url"] for params in sent]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries


def open_browser(chromium: Path, driver: Path, profile: Path) -> Browser:
    """Start a browser with an empty profile, without a network service of its own."""
    options = ChromeOptions()
    options.binary_location = str(chromium)
    for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Browser(Chrome(options, Service(str(driver))))
    browser.size(1280)
    return browser
