"""The page, in a real Chromium, of a real service."""

from __future__ import annotations

import csv
import itertools
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from nsfw_caffe import Classifier
from nsfw_caffe.model.spec import ModelFiles
from tests.service.browser import Page, chromium
from tests.service.running import running
from tests.support import PHOTOS, REPOSITORY

CAT, ROCKET = PHOTOS / "chelsea.png", PHOTOS / "rocket.jpg"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
KEY = "correct-horse"
HOSTILE = '"><img src=x onerror=document.title=1>&amp;.png'

PATCH = REPOSITORY / "tests/explain/patch.png"
"""Coloured squares that speak for nsfw."""

PIXEL = """
const [image, x, y] = arguments;
const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
const context = canvas.getContext("2d");
context.drawImage(image, 0, 0);
return Array.from(context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data);
"""
"""Returns the colour of an image at a place."""

Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads: Path) -> Iterator[Chrome]:
    with chromium(downloads) as driver:
        yield driver


@pytest.fixture(scope="module")
def address(
    browser: Chrome,  # noqa: ARG001 - without a browser, there is no need of a service
    model_files: ModelFiles,  # noqa: ARG001 - fetched first
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Return where a service is that anyone may ask."""
    with running(tmp_path_factory.mktemp("service"), "--workers", "2") as service:
        yield f"{service.url}/"


@pytest.fixture(scope="module")
def narrow(
    browser: Chrome,  # noqa: ARG001
    model_files: ModelFiles,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Return where a service is that wants a key and has room for two pictures."""
    folder = tmp_path_factory.mktemp("narrow")
    keys = folder / "keys"
    keys.write_text(f"{KEY}\n")
    with running(folder, "--workers", "1", "--queue", "1", "--api-key-file", keys) as service:
        yield f"{service.url}/"


@pytest.fixture
def opened(browser: Chrome) -> Iterator[Opened]:
    """Open a page of which, in the end, the console and the requests are looked at.

    Of the console, messages of statuses that the test expects are let pass: the browser itself writes them.
    """
    ends: list[Callable[[], None]] = []

    def open_page(url: str, *statuses: int) -> Page:
        page = Page(browser, url)
        seen: list[str] = []
        drain = page.requests
        page.requests = lambda: [seen.append(address) or address for address in drain()]  # type: ignore[method-assign,func-returns-value]
        ends.append(lambda: check(page, seen, statuses))
        return page

    yield open_page
    for end in ends:
        end()


def check(page: Page, seen: list[str], statuses: tuple[int, ...]) -> None:
    page.requests()
    elsewhere = [address for address in seen if not address.startswith((page.url, f"blob:{page.url}"))]
    assert page.url in seen
    assert elsewhere == []
    expected = tuple(f"the server responded with a status of {status}" for status in statuses)
    assert [message for message in page.console() if not any(text in message for text in expected)] == []


@pytest.fixture
def page(opened: Opened, address: str) -> Page:
    return opened(address)


def squares(folder: Path, count: int) -> list[Path]:
    """Write small pictures, each of another colour."""
    files = [folder / f"square {number}.png" for number in range(count)]
    for number, file in enumerate(files):
        Image.new("RGB", (40, 30), (number * 7 % 256, number * 31 % 256, 90)).save(file)
    return files


def slide(page: Page, name: str, *keys: str) -> None:
    page.find(f"#{name}").send_keys(*keys)


def all_scored(page: Page, *files: Path) -> None:
    """Choose pictures and wait until all are scored, whatever their verdicts."""
    page.choose(*files)
    page.until(lambda: page.find("#status").text.startswith(f"Scored {len(files)} of {len(files)}: "))


def test_chosen_pictures_get_the_library_s_scores(page: Page, portable: Classifier) -> None:
    all_scored(page, CAT, ROCKET)
    for file in (CAT, ROCKET):
        score = portable.classify(file)
        assert page.score(file.name) == score
        assert page.part(file.name, "data").text == f"{score:.4f}"
        assert float(str(page.part(file.name, "data").get_attribute("title"))) == score
        assert page.part(file.name, ".verdict").text == "Pass"
    assert page.find("#status").text == "Scored 2 of 2: 2 pass, 0 review, 0 block."
    assert "engine onnxruntime" in page.find("#provenance").text
    assert page.find("#files").get_attribute("value") == ""  # so that the same pictures can be chosen again


@pytest.mark.parametrize(("kind", "field"), [("drop", "dataTransfer"), ("paste", "clipboardData")])
def test_pictures_are_dropped_anywhere_and_pasted(page: Page, kind: str, field: str) -> None:
    assert page.fire(kind, field, CAT, ROCKET)
    page.wait_for("Scored 2 of 2: 2 pass, 0 review, 0 block.")
    assert page.texts("h3") == ["chelsea.png", "rocket.jpg"]
    assert not page.fire(kind, field)  # text, say: that is not the page's business


def test_a_drag_is_seen(page: Page) -> None:
    assert page.fire("dragover", "dataTransfer", CAT)
    assert "over" in str(page.find("#drop").get_attribute("class"))
    page.fire("dragleave", "dataTransfer", CAT)
    assert "over" not in str(page.find("#drop").get_attribute("class"))


def test_an_error_is_told_in_words_and_a_name_is_no_html(opened: Opened, address: str, tmp_path: Path) -> None:
    broken = tmp_path / HOSTILE
    broken.write_bytes(b"no picture")
    request = tmp_path / "request.json"  # which is no request here, but a file like any other
    request.write_text('{"url": "http://127.0.0.1/"}')
    page = opened(address, 422)
    page.choose(broken, CAT, request)
    page.wait_for("Scored 1 of 3: 1 pass, 0 review, 0 block. 2 could not be scored.")
    note = page.part(HOSTILE, ".note").text
    assert note.endswith(".")
    assert len(note.split()) > 2
    assert page.part(HOSTILE, ".none").is_displayed()
    assert not page.part(HOSTILE, ".heat").is_displayed()
    assert not page.part(HOSTILE, ".again").is_displayed()  # the answer would be the same
    assert page.part(HOSTILE, ".remove").accessible_name == f"Remove {HOSTILE}"
    assert page.driver.title == "Score pictures: nsfw_caffe"
    assert len(page.all(".card img")) == 3
    assert page.part("request.json", ".note").text == note


@pytest.mark.slow
def test_many_pictures_go_a_few_at_a_time_and_the_page_stays_awake(page: Page, tmp_path: Path) -> None:
    page.script(
        """
        const whole = window.fetch;
        window.underWay = window.most = 0;
        window.fetch = async (...given) => {
          window.most = Math.max(window.most, ++window.underWay);
          return whole(...given).finally(() => { window.underWay -= 1; });
        };
        window.longest = 0;
        let last = performance.now();
        setInterval(() => {
          window.longest = Math.max(window.longest, performance.now() - last);
          last = performance.now();
        }, 10);
        """
    )
    page.choose(*squares(tmp_path, 200))
    assert len(page.all(".card")) == 200
    assert page.find("#progress").is_displayed()
    slide(page, "review", Keys.HOME)
    page.until(lambda: page.find("#status").text.startswith("Scored 200 of 200"), 120)
    assert page.counts()[0] == 0
    assert sum(page.counts()) == 200
    assert page.script("return window.most") == 4
    assert page.script("return window.longest") < 3000
    assert not page.find("#progress").is_displayed()


def test_what_is_cleared_is_not_sent(page: Page, tmp_path: Path) -> None:
    page.choose(*squares(tmp_path, 200))
    page.find("#clear").click()
    assert page.all(".card") == []
    page.choose(CAT)
    page.wait_for("Scored 1 of 1: 1 pass, 0 review, 0 block.")
    assert page.counts() == [1, 0, 0]
    assert len(page.all("#ticks circle")) == 1
    assert len([address for address in page.requests() if address.endswith("/v1/score")]) < 200


def test_sliders_change_verdicts_and_counts_without_requests(page: Page) -> None:
    all_scored(page, CAT, ROCKET)
    page.requests()
    assert page.counts() == [2, 0, 0]
    slide(page, "review", Keys.HOME)
    assert page.counts() == [0, 2, 0]
    assert page.part("chelsea.png", ".verdict").text == "Review"
    slide(page, "block", Keys.HOME)
    assert page.counts() == [0, 0, 2]
    assert page.part("chelsea.png", ".verdict").text == "Block"
    page.wait_for("Scored 2 of 2: 0 pass, 0 review, 2 block.")
    assert page.requests() == []


def test_review_never_starts_above_block(page: Page) -> None:
    slide(page, "review", Keys.END)
    assert page.texts("output") == ["1.00", "1.00"]
    slide(page, "block", Keys.HOME)
    assert page.texts("output") == ["0.00", "0.00"]
    slide(page, "block", Keys.ARROW_RIGHT)
    assert page.texts("output") == ["0.00", "0.01"]
    assert page.find("#block").get_attribute("value") == "0.01"


def test_a_heat_map_takes_the_picture_s_place(page: Page, tmp_path: Path) -> None:
    name = "squares.png"
    picture = Image.new("RGB", (256, 256))
    with Image.open(PATCH) as patch:
        for left, top in itertools.product((24, 136), repeat=2):
            picture.paste(patch, (left, top))
    picture.save(tmp_path / name)
    all_scored(page, tmp_path / name)
    assert page.score(name) > 0.5
    heat = page.part(name, ".heat")
    assert heat.get_attribute("aria-pressed") == "false"
    heat.click()
    page.until(lambda: page.script("return arguments[0].naturalWidth > 0", page.part(name, "img")))
    image = page.part(name, "img")
    assert image.is_displayed()
    red, _, blue, _ = page.script(PIXEL, image, 0.3, 0.3)
    assert red > blue
    assert image.accessible_name.startswith(f"Heat map over {name}, score ")
    assert heat.get_attribute("aria-pressed") == "true"
    assert "is shown" in str(page.find("#said").get_attribute("textContent"))
    shown = image.get_attribute("src")
    heat.click()
    assert image.accessible_name == name
    assert image.get_attribute("src") != shown
    page.requests()
    heat.click()
    assert image.accessible_name.startswith("Heat map")
    assert [address for address in page.requests() if "v1" in address] == []  # it is kept


def test_pictures_are_not_in_the_page_until_asked_for(page: Page) -> None:
    page.script(
        """
        window.alive = new Set();
        const [create, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
        URL.createObjectURL = (blob) => { const url = create(blob); window.alive.add(url); return url; };
        URL.revokeObjectURL = (url) => { window.alive.delete(url); revoke(url); };
        """
    )
    all_scored(page, CAT, ROCKET)
    assert [image.get_attribute("src") for image in page.all(".card img")] == [None, None]
    assert {canvas.get_attribute("width") for canvas in page.all("canvas")} == {"8"}
    assert (
        page.script("return arguments[0].getContext('2d').getImageData(4, 4, 1, 1).data[3]", page.find("canvas")) == 255
    )
    show, image = page.part("chelsea.png", ".show"), page.part("chelsea.png", "img")
    show.click()
    page.until(lambda: page.script("return arguments[0].naturalWidth", image) == 451)
    assert image.is_displayed()
    assert not page.part("rocket.jpg", "img").is_displayed()
    assert show.text == "Blur"
    show.click()
    assert not image.is_displayed()
    assert image.get_attribute("src") is None
    assert page.script("return window.alive.size") == 0
    page.find("#show-all").click()
    assert [picture.is_displayed() for picture in page.all(".card img")] == [True, True]
    page.find("#show-all").click()
    assert [picture.is_displayed() for picture in page.all(".card img")] == [False, False]
    page.find("#show-all").click()
    page.part("chelsea.png", ".remove").click()
    assert page.script("return window.alive.size") == 1
    page.find("#clear").click()
    assert page.script("return window.alive.size") == 0
    assert page.all(".card") == []
    assert not page.find("#tools").is_displayed()


def test_a_picture_that_the_browser_cannot_show_has_its_score_and_heat_map(page: Page, tmp_path: Path) -> None:
    with Image.open(CAT) as cat:
        cat.save(tmp_path / "cat.tiff")
    all_scored(page, tmp_path / "cat.tiff")
    assert page.part("cat.tiff", "data").text
    assert page.part("cat.tiff", ".none").is_displayed()
    assert not page.part("cat.tiff", ".show").is_displayed()
    page.part("cat.tiff", ".heat").click()
    page.until(lambda: page.script("return arguments[0].naturalWidth > 0", page.part("cat.tiff", "img")))


def test_the_keyboard_is_enough(page: Page) -> None:
    all_scored(page, CAT, ROCKET)
    page.script("document.activeElement.blur()")
    reached, scales = [], {page.find(".scale").screenshot_as_png}
    for _ in range(20):
        page.press(Keys.TAB)
        focused = page.focused()
        if focused.tag_name == "body":
            break
        if focused.aria_role == "slider":  # its knob alone shows the focus
            scales.add(page.find(".scale").screenshot_as_png)
        else:
            outline = "return getComputedStyle(arguments[0].closest('.drop') ?? arguments[0]).outlineStyle"
            assert page.script(outline, focused) == "solid", focused.accessible_name
        reached.append(focused.accessible_name)
    assert len(scales) == 3
    assert reached[0] == "API"
    assert reached[1].startswith("Choose pictures")
    assert reached[2:] == [
        *("Review from", "Block from", "Show all", "Sort by score", "Download CSV", "Clear"),
        *("Show chelsea.png", "Heat map chelsea.png", "Remove chelsea.png"),
        *("Show rocket.jpg", "Heat map rocket.jpg", "Remove rocket.jpg"),
    ]
    page.part("rocket.jpg", ".show").send_keys(Keys.SPACE)
    assert page.part("rocket.jpg", "img").is_displayed()
    page.part("chelsea.png", ".remove").send_keys(Keys.ENTER)
    assert page.focused().accessible_name == "Remove rocket.jpg"
    page.press(Keys.ENTER)
    assert page.focused().get_attribute("id") == "files"


def test_pictures_are_sorted_by_score(page: Page) -> None:
    files = [PHOTOS / name for name in ("rocket.jpg", "chelsea.png", "coffee.png")]
    all_scored(page, *files)
    page.find("#sort").click()
    scores = [page.score(name) for name in page.texts("h3")]
    assert scores == sorted(scores, reverse=True)


def test_results_are_downloaded_without_formulas(page: Page, downloads: Path, tmp_path: Path) -> None:
    formula = tmp_path / '=HYPERLINK("x"),1.png'
    formula.write_bytes(CAT.read_bytes())
    all_scored(page, formula)
    page.find("#download").click()
    page.until(lambda: (downloads / "scores.csv").exists() and (downloads / "scores.csv").stat().st_size)
    with (downloads / "scores.csv").open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert row["source"] == f"'{formula.name}"
    assert float(row["score"]) == page.score(formula.name)
    assert row["verdict"] == "pass"
    assert row["engine"] == "onnxruntime"
    assert len(row["model"]) == 64


def test_a_key_is_asked_for_and_kept_in_memory_only(opened: Opened, narrow: str) -> None:
    page = opened(narrow, 401)
    page.choose(CAT)
    page.until(page.find("#key").is_displayed)
    assert page.find("#key-asked").text == "This service wants an API key before it scores."
    assert page.find("#key-asked").aria_role == "alert"
    page.find("#key-field").send_keys("wrong", Keys.ENTER)
    page.until(lambda: page.find("#key-asked").text == "The service does not accept this key.")
    page.find("#key-field").send_keys(KEY, Keys.ENTER)
    page.wait_for("Scored 1 of 1: 1 pass, 0 review, 0 block.")
    assert not page.find("#key").is_displayed()
    assert page.driver.current_url == narrow
    stored = "return [localStorage.length, sessionStorage.length, document.cookie]"
    assert page.script(stored) == [0, 0, ""]
    assert page.find("#key-field").get_attribute("value") == ""


def test_a_busy_service_is_asked_again(opened: Opened, narrow: str, tmp_path: Path) -> None:
    page = opened(narrow, 401, 503)
    page.script(
        """
        window.statuses = [];
        const whole = window.fetch;
        window.fetch = async (...given) => {
          const answer = await whole(...given);
          window.statuses.push(answer.status);
          return answer;
        };
        """
    )
    page.choose(CAT)
    page.until(page.find("#key").is_displayed)
    page.find("#key-field").send_keys(KEY, Keys.ENTER)
    page.wait_for("Scored 1 of 1: 1 pass, 0 review, 0 block.")
    page.choose(*squares(tmp_path, 6))
    page.until(lambda: page.find("#status").text.startswith("Scored 7 of 7: "))
    statuses = page.script("return window.statuses")
    assert 503 in statuses
    assert statuses.count(200) == 7
    assert len(statuses) < 30  # it waits in between


def test_a_service_that_has_ended_is_told(opened: Opened, address: str) -> None:
    page = opened(address)
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/v1/*"]})
    page.choose(CAT)
    page.wait_for("Scored 0 of 1. 1 could not be scored.")
    assert page.part("chelsea.png", ".note").text.startswith("The service does not answer.")
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    page.console()  # the browser's own word on it
    page.part("chelsea.png", ".again").click()
    page.wait_for("Scored 1 of 1: 1 pass, 0 review, 0 block.")


def test_the_policy_is_strict_also_where_the_page_is_kept(address: str) -> None:
    with urllib.request.urlopen(address) as answer:
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["Set-Cookie"] is None
        again = urllib.request.Request(address, headers={"If-None-Match": answer.headers["ETag"]})
    with pytest.raises(urllib.error.HTTPError, match="304") as unchanged:
        urllib.request.urlopen(again)
    with unchanged.value as answer:
        assert answer.headers["Content-Security-Policy"] == POLICY


@pytest.mark.parametrize("size", ["100%", "200%"])
def test_nothing_is_beside_a_phone_s_screen(page: Page, size: str, tmp_path: Path) -> None:
    long_name = tmp_path / f"{'long' * 40}.png"
    long_name.write_bytes(CAT.read_bytes())
    page.set_width(360)
    page.script("document.documentElement.style.fontSize = arguments[0]", size)
    all_scored(page, long_name)
    page.script("document.getElementById('key').hidden = false")
    page.part(long_name.name, ".show").click()
    assert page.script("return [innerWidth, document.documentElement.scrollWidth]") == [360, 360]
    beside = """
        return Array.from(document.querySelectorAll("body *"))
          .filter((one) => one.getBoundingClientRect().right > 361 || one.getBoundingClientRect().left < -1)
          .map((one) => `${one.tagName} ${one.id} ${one.className}`);
    """
    assert page.script(beside) == []


CONTROLS = {"button", "textbox", "slider", "link", "image", "progressbar", "list", "region", "form", "alert"}


def test_what_a_screen_reader_is_told(page: Page) -> None:
    all_scored(page, CAT, ROCKET)
    page.find("#show-all").click()
    page.script("for (const id of ['key', 'progress']) document.getElementById(id).hidden = false")
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    told = [node for node in nodes if not node["ignored"]]

    def of(role: str) -> list[str]:
        return [node["name"]["value"] for node in told if node["role"]["value"] == role]

    named = CONTROLS - {"list", "form", "alert"}
    assert [node for node in told if node["role"]["value"] in named and not node["name"]["value"]] == []
    assert len(of("slider")) == 2
    assert of("image") == ["chelsea.png", "rocket.jpg"]
    assert of("textbox") == ["API key"]
    assert of("progressbar") == ["Pictures done"]
    assert of("region") == ["Thresholds", "Pictures"]
    assert len(set(of("button"))) == len(of("button"))
    assert of("heading") == ["Score pictures", "Thresholds", "Pictures", "chelsea.png", "rocket.jpg"]
    assert len(of("listitem")) == 2
    assert len(of("status")) == 4  # of which two are the sliders' values
    assert {"banner", "main", "contentinfo"} <= {node["role"]["value"] for node in told}
    assert [int(heading.tag_name[1]) for heading in page.all("h1, h2, h3")] == [1, 2, 2, 3, 3]
    assert page.find("html").get_attribute("lang") == "en"
    ids = page.script("return Array.from(document.querySelectorAll('[id]'), (one) => one.id)")
    assert len(set(ids)) == len(ids)


CONTRASTS = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => numbers(colour).slice(0, 3)
  .map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4))
  .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
const backing = (one) => {
  const colour = getComputedStyle(one).backgroundColor;
  if (numbers(colour)[3] !== 0) return colour;
  return one.parentElement ? backing(one.parentElement) : "rgb(255, 255, 255)";
};
const hasText = (one) => Array.from(one.childNodes).some((node) => node.nodeType === 3 && node.data.trim());
return Array.from(document.querySelectorAll("body *")).filter((one) => hasText(one) && one.offsetParent).map((one) => {
  const [more, less] = [light(getComputedStyle(one).color), light(backing(one))].sort((a, b) => b - a);
  return [one.textContent.trim().slice(0, 40), (more + 0.05) / (less + 0.05)];
});
"""
"""Each text that is shown, with the contrast that it has with what is behind it, as WCAG 2 defines it."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast(opened: Opened, address: str, scheme: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    page = opened(address, 422)
    page.set_scheme(scheme)
    all_files = [*squares(tmp_path, 3), broken]
    page.choose(*all_files)
    page.until(lambda: "1 could not be scored" in page.find("#status").text)
    page.script(
        """
        document.getElementById("key").hidden = false;
        document.getElementById("key-asked").textContent = "A key";
        document.querySelector(".heat").setAttribute("aria-pressed", "true");
        ["pass", "review", "block"].forEach((verdict, place) => {
          const label = document.querySelectorAll(".verdict")[place];
          label.className = `verdict ${verdict}`;
          label.textContent = verdict;
        });
        """
    )
    contrasts = page.script(CONTRASTS)
    assert len(contrasts) > 40
    assert [(text, contrast) for text, contrast in contrasts if contrast < 4.5] == []
