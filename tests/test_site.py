"""The documentation as a site: it is built without a warning, whole, and loads nothing from elsewhere."""

from __future__ import annotations

import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nsfw_caffe.cli.arguments import all_parsers
from nsfw_caffe.cli.main import create_parser
from tests.support import REPOSITORY, made_once, run
from tests.test_public_names import NAMES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site, built as `make docs` does it."""

    def make(folder: Path) -> None:
        options = ("--fail-on-warning", "--keep-going", "--quiet", "-b", "html", "-c", REPOSITORY / "docs")
        child = run("-m", "sphinx", *options, "-d", folder / "doctrees", REPOSITORY, folder / "html")
        assert (child.returncode, child.stderr) == (0, "")

    return made_once(tmp_path_factory, "site", make) / "html"


class Page(HTMLParser):
    """What a page refers to, what it loads, and the places in it that can be referred to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag has."""
        for name, value in attrs:
            if name in ("id", "name"):
                self.places.add(value or "")
            elif name == "href" and tag == "a":
                self.links.append(value or "")
            elif name in ("href", "src", "srcset", "data") and value and value != "#":
                self.loaded.append(value)


def test_links_lead_somewhere_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """Sphinx has checked those that are written; these are those that it and the theme have made, too."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    dead = []
    for path, page in pages.items():
        for link in page.links + page.loaded:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loaded:
                    dead.append((path.name, link))
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            place = urllib.parse.unquote(parts.fragment)
            if not target.is_file() or (target in pages and place not in pages[target].places):
                dead.append((path.name, link))
    assert len(pages) > 20
    assert dead == []
    for sheet in (site / "_static").rglob("*.css"):
        assert "url(http" not in sheet.read_text(encoding="utf-8")
        assert "@import" not in sheet.read_text(encoding="utf-8")


def test_every_public_name_is_there(site: Path) -> None:
    places = {place for path in (site / "docs" / "api").glob("*.html") for place in Page(path).places}
    described = {place.removeprefix("module-") for place in places}
    public = {f"{module}.{name}" for module, names in NAMES.items() for name in names.split()}
    assert public - described == set()


def test_every_command_and_option_is_there(site: Path) -> None:
    places = Page(site / "docs" / "cli.html").places
    for parser in all_parsers(create_parser()):
        prefix = parser.prog.replace(" ", "-")
        options = [option for action in parser._actions for option in action.option_strings]
        assert [option for option in options if f"{prefix}-{option}" not in places] == []


def test_the_first_page_goes_on_to_the_documentation(site: Path) -> None:
    assert Page(site / "index.html").links == ["docs/index.html"]
