"""`nsfw-caffe train`: a model of one's own from labelled pictures."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from nsfw_caffe.__main__ import interrupt
from nsfw_caffe.cli import OK, SOME_FAILED, STOPPED
from nsfw_caffe.cli.arguments import device, positive
from nsfw_caffe.cli.progress import fetch_model
from nsfw_caffe.cli.streams import complain, say
from nsfw_caffe.options import ENGINES
from nsfw_caffe.results.names import visible

if TYPE_CHECKING:
    from tqdm import tqdm

    from nsfw_caffe.evaluate.evaluation import Evaluation
    from nsfw_caffe.training.cost import TrainingCost
    from nsfw_caffe.training.data import Data
    from nsfw_caffe.training.options import TrainingOptions
    from nsfw_caffe.training.result import FineTuning, TrainingResult
    from nsfw_caffe.training.solving import Iteration

_DESCRIPTION = """\
Train the network on your own pictures: DATA is a folder with a folder a class (labelled/sfw, labelled/nsfw), or a table
with source, label and, if wanted, split. A part is held out to measure with. The folder that is made goes to --model.
"""

_LISTED = 10
"""Pictures that were left out which are named; the rest are counted."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("train", help="train a model on your own pictures", description=_DESCRIPTION)
    parser.set_defaults(run=lambda options: _run(options, parser))
    parser.add_argument("data", nargs="?", metavar="DATA", help="folder with a folder a class, or table of labels")
    parser.add_argument(
        "--nsfw", action="append", default=[], metavar="DIR", help="folder or archive; in place of DATA"
    )
    parser.add_argument(
        "--sfw", action="append", default=[], metavar="DIR", help="folder or archive of the other class"
    )
    made = parser.add_mutually_exclusive_group(required=True)
    made.add_argument("-o", "--output", metavar="DIR", help="folder of the model, to be made")
    made.add_argument("--write-prototxts", metavar="DIR", help="folder of files for 'caffe train'; then end")
    parser.add_argument(
        "--layers",
        default="last",
        metavar="LAYERS",
        help="what learns: last (default), all, or the first stage or layer that does, such as stage3",
    )
    parser.add_argument("--class", dest="score_class", metavar="NAME", help="class that the score is of; default: nsfw")
    parser.add_argument("--resume", action="store_true", help="go on with a training that was stopped")
    group = parser.add_argument_group("how it is trained")
    length = group.add_mutually_exclusive_group()
    length.add_argument(
        "--iterations", type=positive, metavar="N", help="updates of the solver, for the layers that --layers names"
    )
    length.add_argument("--epochs", type=positive, metavar="N", help="times that each picture is seen")
    group.add_argument("--network", default="resnet50_thin", metavar="NAME", help="network; default: resnet50_thin")
    group.add_argument("--weights", type=Path, metavar="FILE", help="caffemodel to start from; default: the original")
    group.add_argument("--holdout", type=float, default=0.2, metavar="P", help="share to measure with; default: 0.2")
    group.add_argument("--seed", type=int, default=1, metavar="N", help="number that all chance follows; default: 1")
    group.add_argument(
        "--batch-size",
        type=positive,
        metavar="N",
        help="pictures of an update; default: 64, and 16 with more than the last layer",
    )
    group.add_argument(
        "--base-rate",
        type=float,
        metavar="R",
        help="learning rate; default: one that fits, and 1e-4 with more than the last layer",
    )
    group.add_argument(
        "--decay",
        type=float,
        metavar="D",
        help="weight decay (L2); default: chosen on folds, and 5e-4 with more than the last layer",
    )
    group.add_argument(
        "--scales",
        type=int,
        nargs=2,
        default=(256, 256),
        metavar=("MIN", "MAX"),
        help="sides that pictures are resized to before the crop, with more than the last layer; default: 256 256",
    )
    group.add_argument(
        "--class-weights",
        choices=("balanced", "none"),
        default="balanced",
        help="weights of classes; default: balanced, so that each counts the same",
    )
    group = parser.add_argument_group("what computes features")
    group.add_argument("--engine", choices=(*ENGINES, "auto"), default="auto", help="engine; default: first installed")
    group.add_argument("--device", type=device, default="cpu", help="device: cpu (default) or gpu:N")
    group.add_argument("--threads", type=positive, metavar="N", help="threads that compute; default: all cores")
    group.add_argument("--workers", type=positive, metavar="N", help="pictures worked on at a time; default: cores")


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.options import ScoringOptions
    from nsfw_caffe.training.options import TrainingOptions
    from nsfw_caffe.training.run import train

    data = _data(options, parser)
    if options.write_prototxts is not None and options.resume:
        parser.error("--resume: nothing is trained with --write-prototxts")
    names = (
        "layers", "iterations", "epochs", "network", "weights", "holdout", "seed", "batch_size", "base_rate", "decay",
        "class_weights", "score_class",
    )  # fmt: skip
    asked = TrainingOptions(scales=tuple(options.scales), **{name: getattr(options, name) for name in names})
    scoring = ScoringOptions(engine=options.engine, device=options.device, threads=options.threads)
    if asked.weights is None:
        fetch_model(quiet=options.quiet)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)
    if options.write_prototxts is not None:
        return _write_prototxts(data, asked, options)
    try:
        with _Shown(quiet=options.quiet) as shown:
            result = train(
                data,
                options.output,
                options=asked,
                scoring=scoring,
                workers=options.workers,
                resume=options.resume,
                progress=shown.step if shown.visible else None,
                solving=shown.iteration if shown.visible else None,
                costs=None if options.quiet else shown.costs,
            )
    except KeyboardInterrupt:
        complain("stopped; what was done is kept: run the same command again with --resume to go on")
        return STOPPED
    _complain_of(result.failures)
    say(_text(result))
    return SOME_FAILED if result.failures else OK


def _write_prototxts(data: Data, asked: TrainingOptions, options: argparse.Namespace) -> int:
    from nsfw_caffe.training.prototxts import NETWORK, README, SOLVER, WEIGHTS, write_prototxts

    try:
        with _Shown(quiet=options.quiet) as shown:
            written = write_prototxts(
                data, options.write_prototxts, options=asked, progress=shown.step if shown.visible else None
            )
    except KeyboardInterrupt:
        complain("stopped; nothing was written")
        return STOPPED
    failures = (*written.failures, *written.unlisted)
    _complain_of(failures)
    say(
        f"{visible(str(written.folder))}: {NETWORK}, {SOLVER}, {WEIGHTS} and more; {README} says how they are used\n"
        f"to train on {_counts(written.trained_on)}; held out {_counts(written.held_out)}; "
        f"left out {len(written.failures)} unreadable, {len(written.unlisted)} that Caffe could not read, "
        f"{written.repeats} repeated, {written.too_near} alike"
    )
    return SOME_FAILED if failures else OK


def _complain_of(failures: tuple[tuple[str, str], ...]) -> None:
    for source, reason in failures[:_LISTED]:
        complain(f"left out {source}: {reason}")
    if len(failures) > _LISTED:
        complain(f"left out {len(failures) - _LISTED} more pictures")


def _data(options: argparse.Namespace, parser: argparse.ArgumentParser) -> Data:
    named = {"sfw": options.sfw, "nsfw": options.nsfw}
    if any(named.values()):
        if options.data is not None or not all(named.values()):
            parser.error("give DATA, or both --nsfw and --sfw")
        return named
    if options.data is None:
        parser.error("what is to be learned? Give DATA, or --nsfw DIR --sfw DIR")
    path: str = options.data
    return path


class _Shown:
    """Shows how far training is, where standard error is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self.visible = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._bars = contextlib.ExitStack()
        self._what, self._solver = "", "solver, last layer"
        self._bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.close()

    def costs(self, cost: TrainingCost) -> None:
        """Say what training more than the last layer will cost."""
        self._bars.close()
        self._solver, self._bar = f"solver, {visible(cost.layers)}", None
        parts = f" in {cost.iter_size} parts" if cost.iter_size > 1 else ""
        complain(
            f"training {visible(cost.layers)}: {cost.iterations} updates of "
            f"{cost.batch_size * cost.iter_size} of {cost.pictures} pictures{parts}; "
            f"about {cost.memory / 1e9:.1f} GB of memory, {_time(cost.seconds)}"
        )

    def step(self, what: str, done: int, total: int | None) -> None:
        """Show a step."""
        if what == "held out" and self._bar is not None:  # between the solver's updates
            return
        self._show(what, done, total)

    def _show(self, what: str, done: int, total: int | None) -> tqdm[NoReturn]:
        from tqdm import tqdm

        if self._bar is None or what != self._what:
            self._bars.close()
            # What was done before a stop tells nothing of how fast it goes.
            self._what, self._bar = what, self._bars.enter_context(tqdm(desc=what, total=total, initial=done - 1))
        self._bar.update(done - self._bar.n)
        return self._bar

    def iteration(self, found: Iteration, total: int) -> None:
        """Show an update of the solver."""
        bar = self._show(self._solver, found.number, total)
        bar.set_postfix_str(f"loss {found.loss:.4f}, rate {found.rate:.2g}", refresh=False)


def _text(result: TrainingResult) -> str:
    lines = [
        f"{visible(str(result.folder))}: classes {', '.join(map(visible, result.classes))}; "
        f"the score is that of {visible(result.score_class)}",
        f"trained on {_counts(result.trained_on)}; held out {_counts(result.held_out)}; "
        f"left out {len(result.failures)} unreadable, {result.repeats} repeated, {result.too_near} alike",
    ]
    if result.before is not None and result.accuracy_before is not None:
        lines.append(f"before  {_figures(result.before)}")
    if result.last is not None:
        lines.append(f"last    {_figures(result.last)}")
    lines.append(f"after   {_figures(result.after)}")
    if result.fine_tuning is not None:
        began = "those that it began with" if result.last is None else "those of the last layer alone"
        lines.append(_chosen(result.fine_tuning, began))
    right, share = result.accuracy.interval, result.accuracy.value
    lines.append(
        f"right: {share:.3f} ({right.low:.3f} to {right.high:.3f}); "
        f"always answering with the largest class: {result.majority:.3f}"
    )
    if result.comparison is not None and result.comparison.difference_interval is not None:
        interval = result.comparison.difference_interval
        lines.append(f"AUC gained: {result.comparison.difference:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})")
    if result.gain_is_chance:
        lines.append("WARNING: the gain is within chance: these pictures do not show that the new model is better")
    mixed = "in which all classes are as frequent" if result.balanced else "that is mixed as these pictures are"
    lines.append(f"scores are probabilities for data {mixed}; weight decay {result.decay:g}")
    return "\n".join(lines)


def _chosen(found: FineTuning, began: str) -> str:
    area = dict(found.checked)[found.chosen]
    which = f"those after {found.chosen}" if found.chosen else f"{began}, before all of them"
    return (
        f"{visible(found.layers)}: {len(found.history)} updates of {found.batch_size * found.iter_size} pictures; of "
        f"{len(found.checked)} weights the best are {which}, with AUC {area:.3f}, which is a little optimistic, since "
        "the pictures held out chose them"
    )


def _time(seconds: float) -> str:
    minutes = seconds / 60
    if minutes >= 120:
        return f"{minutes / 60:.1f} hours"
    return f"{minutes:.0f} minutes" if minutes >= 10 else f"{max(0.1, minutes):.1f} minutes"


def _counts(counts: object) -> str:
    assert isinstance(counts, dict)
    return ", ".join(f"{count} {visible(name)}" for name, count in counts.items())


def _figures(evaluation: Evaluation) -> str:
    area = evaluation.roc.auc_interval
    (at,) = evaluation.confusions
    rates = []
    for name, shown in (("accuracy", "accuracy"), ("fpr", "FPR"), ("fnr", "FNR")):
        share = at.share(name, level=evaluation.options.level)
        rates.append(f"{shown} {share.value:.3f} ({share.interval.low:.3f} to {share.interval.high:.3f})")
    return f"AUC {evaluation.roc.auc:.3f} ({area.low:.3f} to {area.high:.3f}), {', '.join(rates)}"
