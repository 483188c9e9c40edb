"""How an extra of the library is had, in a command that works where the library was installed from."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

_NAME = "nsfw-caffe"
_OF_AN_EXTRA = re.compile(r"([^;]+?) *; *(?:(.+) and )?extra == [\"']([\w-]+)[\"']")
"""A requirement, its other conditions and its extra, as setuptools writes them into the metadata."""

_OTHER_EXTRAS = re.compile(r"nsfw[-_.]caffe\[([^]]+)\]", re.IGNORECASE)


def install_hint(extra: str) -> str:
    """Return the command that installs what an extra names.

    From a checkout, or a folder that is still there, that is the folder with the extra; from an index the package with
    the extra; and where the library came as a file, the packages themselves.
    """
    import importlib.metadata  # which take a while, and nobody needs them but for this
    import json
    import urllib.parse
    import urllib.request

    here = Path(__file__).resolve().parents[2]
    if _is_checkout(here):
        return f"pip install --editable {shlex.quote(f'{here}[{extra}]')}"
    try:
        library = importlib.metadata.distribution(_NAME)
    except importlib.metadata.PackageNotFoundError:  # copied, or sent to an executor
        return f"install what the extra '{extra}' of {_NAME} names"
    origin = json.loads(library.read_text("direct_url.json") or "null")
    if origin is None:
        return f"pip install '{_NAME}[{extra}]'"
    folder = Path(urllib.request.url2pathname(urllib.parse.urlsplit(origin["url"]).path))
    if "dir_info" in origin and _is_checkout(folder):
        return f"pip install {shlex.quote(f'{folder}[{extra}]')}"
    return f"pip install {shlex.join(_packages(library.requires or [], extra))}"


def _is_checkout(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file()


def _packages(requirements: list[str], extra: str) -> Iterator[str]:
    for requirement in requirements:
        found = _OF_AN_EXTRA.fullmatch(requirement)
        if found is None or found[3] != extra:
            continue
        package, conditions, _ = found.groups()
        if others := _OTHER_EXTRAS.fullmatch(package):
            for other in others[1].split(","):
                yield from _packages(requirements, other.strip())
        else:
            yield f"{package}; {conditions}" if conditions else package
