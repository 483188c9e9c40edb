"""The service's page in a real Chromium."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.remote.webelement import WebElement

from tests.service.running import until

SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # which root, in a container, does not get
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

EVENT_WITH_FILES = """
const [type, field, files] = arguments;
const transfer = new DataTransfer();
for (const [name, content] of files) {
  transfer.items.add(new File([Uint8Array.from(atob(content), (one) => one.charCodeAt(0))], name));
}
const constructor = type === "paste" ? ClipboardEvent : DragEvent;
const event = new constructor(type, { bubbles: true, cancelable: true, [field]: transfer });
document.querySelector("h1").dispatchEvent(event);
return event.defaultPrevented;
"""
"""Fires an event that carries files, beside the zone for them, and tells whether the page takes it."""


@contextmanager
def chromium(folder: Path) -> Iterator[Chrome]:
    """Run a headless Chromium that keeps logs of its console and its requests, and downloads into a folder."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.skip("needs Chromium: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = str(programs[0])
    for switch in SWITCHES:
        options.add_argument(switch)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, ChromeService(programs[1]))
    try:
        # Without transitions, colours are at once what they will be.
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [REDUCED_MOTION]})
        yield driver
    finally:
        driver.quit()


REDUCED_MOTION = {"name": "prefers-reduced-motion", "value": "reduce"}


class Page:
    """The page of a service, just opened."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url
        self.set_width(1200)
        driver.get("about:blank")
        self.requests()
        self.console()
        driver.get(url)

    def set_width(self, width: int) -> None:
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def set_scheme(self, scheme: str) -> None:
        features = [REDUCED_MOTION, {"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def script(self, text: str, *arguments: object) -> Any:
        return self.driver.execute_script(text, *arguments)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return [element.text for element in self.all(selector)]

    def focused(self) -> WebElement:
        return self.driver.switch_to.active_element

    def press(self, key: str) -> None:
        """Press a key, whatever has the focus."""
        ActionChains(self.driver).send_keys(key).perform()

    def choose(self, *files: Path) -> None:
        self.find("#files").send_keys("\n".join(map(str, files)))

    def fire(self, kind: str, field: str, *files: Path) -> bool:
        """Fire an event that carries files, and tell whether the page has taken it."""
        contents = [(file.name, base64.b64encode(file.read_bytes()).decode()) for file in files]
        return bool(self.script(EVENT_WITH_FILES, kind, field, contents))

    def wait_for(self, status: str) -> None:
        """Wait until the page says so of all pictures."""
        self.until(lambda: self.find("#status").text == status)

    def until(self, holds: Callable[[], Any], seconds: float = 30) -> None:
        """Wait until something holds, on a machine that may be busy."""
        until(lambda: bool(holds()), seconds)

    def card(self, name: str) -> WebElement:
        return next(card for card in self.all(".card") if card.find_element("css selector", "h3").text == name)

    def part(self, name: str, selector: str) -> WebElement:
        return self.card(name).find_element("css selector", selector)

    def score(self, name: str) -> float:
        return float(str(self.part(name, "data").get_attribute("value")))

    def counts(self) -> list[int]:
        return [int(text) for text in self.texts(".counts dd")]

    def requests(self) -> list[str]:
        """Return the addresses of the requests since the last call."""
        entries = self.driver.get_log("performance")  # type: ignore[no-untyped-call]
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [parameters["request"]["url"] for parameters in sent]

    def console(self) -> list[str]:
        """Return the messages on the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]
