"""How Sphinx makes the site of the documentation: `make docs`.

Its source is the repository's root, so that a link between README.md, docs/ and the other Markdown is the same one on
the site and where the files are read as they are. A link to another file of the repository becomes a download.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from types import ModuleType

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

import nsfw_caffe

project = "nsfw_caffe"
author = "The nsfw_caffe developers"
copyright = author  # noqa: A001
release = version = nsfw_caffe.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_argparse_cli"]
include_patterns = ["*.md", "benchmarks/*.md", "docs/**.md", "models/**.md"]
exclude_patterns = [".*", "**/__pycache__", "build", "dist"]
root_doc = "docs/index"

myst_heading_anchors = 6  # named as GitHub names them
smartquotes = False  # they would make one dash of an option's two

# Docstrings have names in single backticks. Those of this library have to be there, and become links.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!nsfw_caffe).*")]

autodoc_member_order = "groupwise"
autodoc_preserve_defaults = True
autodoc_typehints = "none"  # the docstrings say types, shapes and ranges
maximum_signature_line_length = 90
napoleon_google_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]  # else each is a link to whatever has its name
napoleon_preprocess_types = True

html_theme = "furo"
html_title = f"nsfw_caffe {release}"
html_copy_source = False
html_extra_path = ["_extra"]  # index.html, which goes on to root_doc

linkcheck_ignore = [r"https?://(127\.0\.0\.1|localhost)\b"]


def public_modules(module: ModuleType = nsfw_caffe) -> Iterator[ModuleType]:
    """Yield the library and its modules that are for users."""
    yield module
    for name in module.__all__:
        if inspect.ismodule(getattr(module, name)):
            yield from public_modules(importlib.import_module(f"{module.__name__}.{name}"))


def check_reference(_app: Sphinx, environment: BuildEnvironment) -> None:
    """Warn of public names that the API reference lacks."""
    described = environment.domains.python_domain.objects
    for module in public_modules():
        for name in module.__all__:
            if f"{module.__name__}.{name}" not in described:
                logging.getLogger(__name__).warning("docs/api lacks %s.%s", module.__name__, name)


def prepare(_app: Sphinx, _kind: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Give errors that share a description a line each, else all but one get lost; link pages that are named."""
    several = re.compile(r"[A-Z]\w+(Error|Unavailable|Stopped)(, [A-Z]\w+(Error|Unavailable|Stopped))+")
    split = [part for line in lines for part in (line.split(", ") if several.fullmatch(line) else [line])]
    lines[:] = [re.sub(r"\bdocs/([\w-]+)\.md\b", r":doc:`docs/\1.md </docs/\1>`", line) for line in split]


def setup(app: Sphinx) -> None:
    """Have Sphinx check the reference, too, and prepare docstrings before napoleon reads them."""
    app.connect("autodoc-process-docstring", prepare, priority=400)
    app.connect("env-check-consistency", check_reference)
