"""The report as people open it: in Chromium, by mouse and keyboard, narrow and wide, light and dark."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from initdist import names
from multirun_analysis.config import AnalysisConfig, Tracking
from multirun_analysis.session import analyze

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install initdist[dev]")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
UI = "http://127.0.0.1:5999"

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium and chromedriver on the PATH")


@pytest.fixture(scope="module")
def page(planted, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("page")
    tracking = Tracking(planted.uri, ui_url=f"{UI}/")
    analyze(AnalysisConfig(tracking, out=str(out)), out)
    return out / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(autouse=True)
def opened(browser, page) -> None:
    show(browser, 1280)
    browser.get(page.as_uri())
    WebDriverWait(browser, 60).until(lambda one: one.execute_script("return document.readyState") == "complete")


def show(browser: Any, width: int, scheme: str = "light") -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen", "features": features})


def league(browser: Any):
    return browser.find_element(By.XPATH, "//table[.//th[contains(., 'τ within')]]")


def column(table, place: int) -> list[str]:
    return [
        row.find_elements(By.CSS_SELECTOR, "th, td")[place].text
        for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]


def leading(texts: list[str]) -> list[float]:
    """The first numbers of cells, dashes left out."""
    found = (re.match(r"-?[\d.]+", text.replace("−", "-")) for text in texts)
    return [float(match[0]) for match in found if match]


def test_nothing_is_requested_and_the_console_stays_silent(browser, page):
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(page.as_uri())
    for image in browser.find_elements(By.CSS_SELECTOR, "figure img"):
        assert browser.execute_script("return arguments[0].complete && arguments[0].naturalWidth > 100", image)
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if not url.startswith("data:")] == [page.as_uri()]
    assert browser.get_log("browser") == []


def test_the_policy_refuses_what_a_page_might_be_made_to_ask_for(browser):
    script = """
      const done = arguments[0], image = new Image();
      image.onerror = () => done('refused'); image.onload = () => done('loaded');
      image.src = 'http://127.0.0.1:9/x.png'; document.body.append(image);
    """
    assert browser.execute_async_script(script) == "refused"
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))
    evil = "const s = document.createElement('script'); s.textContent = 'window.evil = 1'; document.body.append(s);"
    browser.execute_script(evil)
    assert browser.execute_script("return window.evil === undefined")
    browser.get_log("browser")


def test_the_league_table_sorts_by_mouse_and_by_keyboard(browser):
    table = league(browser)
    heads = table.find_elements(By.CSS_SELECTOR, "thead th")
    place = next(i for i, head in enumerate(heads) if "partial" in head.text)
    button = heads[place].find_element(By.TAG_NAME, "button")
    assert heads[place].get_attribute("aria-sort") == "none"
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    assert heads[place].get_attribute("aria-sort") == "ascending"
    ascending = leading(column(table, place))
    assert ascending == sorted(ascending)
    assert len(set(ascending)) > 1
    browser.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    assert heads[place].get_attribute("aria-sort") == "descending"
    assert leading(column(table, place)) == sorted(ascending, reverse=True)
    name = heads[1].find_element(By.TAG_NAME, "button")
    name.send_keys(Keys.SPACE)
    assert (heads[1].get_attribute("aria-sort"), heads[place].get_attribute("aria-sort")) == ("ascending", "none")
    names = column(table, 1)
    assert names == sorted(names)


def test_a_missing_number_sorts_last_both_ways(browser):
    table = league(browser)
    heads = table.find_elements(By.CSS_SELECTOR, "thead th")
    button = heads[0].find_element(By.TAG_NAME, "button")
    for _ in range(2):
        button.send_keys(Keys.ENTER)
        assert column(table, 0)[-1] == "–"


@pytest.mark.parametrize("by", ["mouse", "enter", "space"])
def test_a_figure_is_enlarged_and_escape_closes_it(browser, by):
    image = browser.find_elements(By.CSS_SELECTOR, "figure img")[1]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", image)
    dialog = browser.find_element(By.TAG_NAME, "dialog")
    assert not dialog.is_displayed()
    image.click() if by == "mouse" else image.send_keys(Keys.ENTER if by == "enter" else Keys.SPACE)
    assert dialog.is_displayed()
    large = dialog.find_element(By.TAG_NAME, "img")
    assert large.get_attribute("src") == image.get_attribute("src")
    assert large.size["width"] > image.size["width"]
    assert dialog.find_element(By.CLASS_NAME, "title").text == image.get_attribute("data-title")
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed()
    if by != "mouse":
        assert browser.execute_script("return document.activeElement === arguments[0]", image)


def test_a_value_that_is_pointed_at_says_its_numbers(browser):
    image = browser.find_element(By.CSS_SELECTOR, "figure img[data-title='Gap against distance']")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", image)
    tip = browser.find_element(By.CLASS_NAME, "tip")
    for x, y, text in json.loads(image.get_attribute("data-points"))[::4]:
        right, down = ((share / 1000 - 0.5) * image.size[side] for share, side in ((x, "width"), (y, "height")))
        ActionChains(browser).move_to_element_with_offset(image, right, down).perform()
        assert tip.is_displayed()
        assert tip.text == text
    ActionChains(browser).move_to_element_with_offset(image, 2 - image.size["width"] / 2, 0).perform()
    assert not tip.is_displayed()


def test_links_lead_to_the_runs_in_the_ui(browser, planted):
    for summary in browser.find_elements(By.TAG_NAME, "summary"):
        summary.send_keys(Keys.ENTER)
    links = {link.get_attribute("href"): link for link in browser.find_elements(By.CSS_SELECTOR, "a[target=_blank]")}
    experiment = planted.store.experiment_id
    assert set(links) == {f"{UI}/#/experiments/{experiment}/runs/{run}{names.UI_VIEW}" for run in planted.run_ids}
    assert all(link.is_displayed() and link.text for link in links.values())


def test_links_within_the_page_lead_somewhere(browser):
    targets = [
        a.get_attribute("href").partition("#")[2] for a in browser.find_elements(By.CSS_SELECTOR, "a[href^='#']")
    ]
    assert "distance_against_width" in targets
    assert [target for target in targets if not browser.find_elements(By.ID, target)] == []
    identifiers = browser.execute_script("return [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1920])
def test_it_fits_every_screen(browser, width, scheme):
    show(browser, width, scheme)
    for part in browser.find_elements(By.TAG_NAME, "details"):
        browser.execute_script("arguments[0].open = true", part)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    paper, ink = (
        browser.execute_script(f"return getComputedStyle(document.body).{name}")
        for name in ("backgroundColor", "color")
    )
    contrast = abs(brightness(paper) - brightness(ink))
    assert contrast > 180
    assert (brightness(paper) < 60) == (scheme == "dark")


def brightness(colour: str) -> float:
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


def test_the_page_can_be_read_without_its_script(browser, page, tmp_path):
    plain = tmp_path / "plain.html"
    plain.write_text(re.sub(r"<script>.*</script>", "", page.read_text(), flags=re.S))
    browser.get(plain.as_uri())
    table = league(browser)
    assert column(table, 1)[0]
    assert browser.find_element(By.CLASS_NAME, "lead").is_displayed()
    browser.find_element(By.TAG_NAME, "summary").click()
    assert browser.find_element(By.CSS_SELECTOR, "details[open] li, details[open] table").is_displayed()


def test_what_is_folded_is_printed(browser):
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert all(part.get_attribute("open") for part in browser.find_elements(By.TAG_NAME, "details"))
