#!/usr/bin/env python
"""The networks that open_nsfw's was chosen among, compared and measured.

It writes the table in docs/networks.md, and docs/networks.png, anew:

    python benchmarks/networks.py               # some minutes, on a machine that does nothing else
    python benchmarks/networks.py --rounds 2    # to try it out
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "networks.md"
BEGIN, END = "<!-- what `make networks` wrote: begin -->\n", "<!-- end -->\n"


def main() -> None:
    """Run `nsfw-caffe networks compare --measure`, and put its text and its plot into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", default="20", help="rounds that the median is of")
    options = parser.parse_args()
    command = [sys.executable, "-m", "nsfw_caffe", "networks", "compare", "--measure", "--rounds", options.rounds]
    with tempfile.TemporaryDirectory() as folder:
        text = subprocess.run([*command, "--plots", folder], stdout=subprocess.PIPE, text=True, check=True).stdout
        (DOCS / "networks.png").write_bytes((Path(folder) / "imagenet.png").read_bytes())
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}```text\n{text}```\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
