#!/usr/bin/env python
"""Train on a stand-in for labelled data: the pictures of Debian's tuxpaint-stamps-default, animals against things.

    python examples/train_on_stamps.py FOLDER
    nsfw-caffe classify --model FOLDER/last photo.jpg

The package (161 MB, GPL-2) is fetched with `apt-get download` and unpacked into FOLDER, not installed; a file that is
here already is given with `--package`. The label is a stand-in: "animals" is the class that is looked for, and "things"
(food, clothes, vehicles, houses and the like) the other one. None of these pictures is pornographic, and the figures
show how a training goes, and nothing about the original model: for that, label pictures of your own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import nsfw_caffe
from nsfw_caffe.evaluate import Evaluation, Share
from nsfw_caffe.training import TrainingOptions, TrainingResult

PACKAGE = "tuxpaint-stamps-default"

STAMPS = Path("usr/share/tuxpaint/stamps")

CLASSES = {
    "animals": ("animals",),
    "things": ("clothes", "food", "hobbies", "household", "sports", "town", "vehicles"),
}


def main() -> None:
    """Fetch the pictures, train on them, and print what that was worth."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where pictures and models go")
    parser.add_argument("--package", type=Path, metavar="FILE", help="the package's file, instead of a download")
    parser.add_argument("--layers", nargs="+", default=["last"], metavar="LAYERS", help="one or more of: last, all")
    parser.add_argument("--holdout", type=float, default=0.35, metavar="P", help="share to measure with; default: 0.35")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="other seeds, other shares; default: 1")
    parser.add_argument("--iterations", type=int, metavar="N", help="updates of the solver")
    options = parser.parse_args()
    results = {}
    try:
        pictures = labelled(unpack(options.folder, options.package))
        for layers in options.layers:
            asked = TrainingOptions(
                layers=layers,
                holdout=options.holdout,
                seed=options.seed,
                iterations=options.iterations,
                score_class="animals",
            )
            results[layers] = nsfw_caffe.train(pictures, options.folder / layers, options=asked)
    except (nsfw_caffe.NsfwCaffeError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"train_on_stamps.py: {error}")
    print(table(results))


def unpack(folder: Path, package: Path | None) -> Path:
    """Unpack the package into a folder, where that has not been done, and return where the pictures are."""
    unpacked = folder / "package"
    if not unpacked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if package is None:
            subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, check=True, stdout=sys.stderr)
            (package,) = folder.glob(f"{PACKAGE}_*.deb")
        part = folder / "package.part"
        subprocess.run(["dpkg-deb", "--extract", package, part], check=True)
        part.rename(unpacked)
    return unpacked / STAMPS


def labelled(stamps: Path) -> dict[str, list[Path]]:
    """Return each class's pictures; the package has sounds and texts beside them."""
    return {
        name: sorted(path for folder in folders for path in (stamps / folder).rglob("*.png"))
        for name, folders in CLASSES.items()
    }


def table(results: dict[str, TrainingResult]) -> str:
    """Write what each model is worth on the pictures that none of them was trained on."""
    first = next(iter(results.values()))
    trained_on, held_out = (sum(counts.values()) for counts in (first.trained_on, first.held_out))
    lines = [
        f"animals against things, stand-ins for labels: trained on {trained_on}, measured on {held_out} held out",
        f"{'':8}{'AUC':26}accuracy",
    ]
    if first.before is not None and first.accuracy_before is not None:
        lines.append(row("before", first.before, first.accuracy_before))
    lines += [row(layers, result.after, result.accuracy) for layers, result in results.items()]
    lines.append(f"always answering with the largest class is right in {first.majority:.3f}")
    return "\n".join(lines)


def row(name: str, evaluation: Evaluation, accuracy: Share) -> str:
    """Write a line of the table: area under the ROC curve and accuracy, with 95 % intervals."""
    area = evaluation.roc.auc_interval
    auc = f"{evaluation.roc.auc:.3f} ({area.low:.3f} to {area.high:.3f})"
    right = f"{accuracy.value:.3f} ({accuracy.interval.low:.3f} to {accuracy.interval.high:.3f})"
    return f"{name:8}{auc:26}{right}"


if __name__ == "__main__":
    main()
