"""The options that say what is evaluated: folders, or a table, with scores or without."""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.cli.arguments import positive
from nsfw_caffe.cli.engine_options import add_engine_options, check_engine_options, create_classifier, set_up
from nsfw_caffe.cli.progress import Progress
from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.results.names import decode_name
from nsfw_caffe.results.record import Record, SetUp
from nsfw_caffe.scanning.locking import own_files
from nsfw_caffe.sources.selection import Selection
from nsfw_caffe.system.files import user_cache

if TYPE_CHECKING:
    import pyarrow

    from nsfw_caffe.evaluate.labelled import LabelledScores


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "data",
        nargs="?",
        type=Path,
        metavar="DATA",
        help="a .csv, .jsonl, .parquet or .sqlite table with label (nsfw or sfw, 1 or 0), and source or score",
    )
    parser.add_argument(
        "--nsfw", action="append", default=[], metavar="DIR", help="folder of nsfw pictures, in place of DATA"
    )
    parser.add_argument("--sfw", action="append", default=[], metavar="DIR", help="folder of sfw pictures")
    parser.add_argument(
        "--results", type=Path, metavar="RESULTS", help="a finished scan that has the scores of DATA's sources"
    )
    parser.add_argument(
        "--scores", type=Path, metavar="FILE", help="file for scores that have to be computed; default: in the cache"
    )
    parser.add_argument("--workers", type=positive, metavar="N", help="pictures worked on at a time; default: cores")
    add_engine_options(parser)


def load(options: argparse.Namespace, parser: argparse.ArgumentParser) -> LabelledScores:
    """Read or compute the labelled scores that the options ask for."""
    from nsfw_caffe.evaluate.labelled_table import to_labelled_scores
    from nsfw_caffe.evaluate.load import look_up, read_labelled, read_scores, scores_of

    check_engine_options(options, parser)
    if bool(options.nsfw) != bool(options.sfw):
        parser.error("--nsfw and --sfw go together: a ROC needs both")
    if (options.data is not None) == bool(options.nsfw):
        parser.error("give DATA, or --nsfw DIR and --sfw DIR")
    if options.results is not None and options.data is None:
        parser.error("--results goes with DATA")
    by = tuple(options.by)
    if options.data is None:
        return to_labelled_scores(_score_folders(options, by), ", ".join(options.nsfw + options.sfw), by)
    table = read_labelled(options.data, by)
    if options.results is not None:
        table = look_up(table, read_scores(options.results, by), options.results)
    elif "score" not in table.column_names:
        sources = [decode_name(source) for source in table["source"].to_pylist()]
        found = _Scanner(options, [str(options.data)]).scan(sources)
        table = look_up(table, scores_of(found, by), "what was scored")
    return to_labelled_scores(table, str(options.data), by)


def _score_folders(options: argparse.Namespace, by: tuple[str, ...]) -> pyarrow.Table:
    import pyarrow

    from nsfw_caffe.evaluate.load import scores_of

    for folder in options.nsfw + options.sfw:
        if not os.path.lexists(folder):
            raise EvaluationError(f"{folder}: no such folder")
    scanner = _Scanner(options, options.nsfw + options.sfw)
    labels: list[bool] = []
    records: list[Record] = []
    for label, folders in ((True, options.nsfw), (False, options.sfw)):
        found = scanner.scan(folders)
        if not found:
            raise EvaluationError(f"{', '.join(folders)}: there is nothing to score")
        records += found
        labels += [label] * len(found)
    return scores_of(records, by).append_column("label", pyarrow.array(labels, pyarrow.bool_()))


class _Scanner:
    """Scores sources, and keeps the scores for the next time.

    Parameters
    ----------
    options : argparse.Namespace
        What scores, and where the scores are kept.
    key : list of str
        Paths that name the data: without an option, its scores have a file of their own in the cache.
    """

    def __init__(self, options: argparse.Namespace, key: list[str]) -> None:
        self._options = options
        self._classifier = create_classifier(options)
        self._set_up = set_up(options, self._classifier)
        self._results: Path = options.scores or _kept_scores(key, self._set_up)

    def scan(self, sources: list[str]) -> list[Record]:
        """Return a record of each source."""
        from nsfw_caffe.scanning.scan import scan
        from nsfw_caffe.sources.find import count_items, find_items

        selection = Selection(leave_out=frozenset(own_files(self._results)))
        records: list[Record] = []
        with Progress(quiet=self._options.quiet) as progress:
            progress.count(lambda: count_items(sources, selection))

            def done(record: Record, new: bool) -> None:
                records.append(record)
                progress.done(record, new)

            scan(
                self._results,
                lambda known: find_items(sources, selection, known),
                functools.partial(self._classifier.scan, workers=self._options.workers),
                self._set_up,
                done=done,
            )
        return records


def _kept_scores(key: list[str], made_with: SetUp) -> Path:
    """Name the file in the user's cache that keeps the scores of some folders, or of a table's sources."""
    cache = user_cache()
    if cache is None:
        raise EvaluationError("there is no home directory to keep scores in: give --scores FILE")
    words = "\n".join([*map(os.path.realpath, key), *map(str, made_with)])
    folder = cache / "evaluate"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvaluationError(f"{folder} cannot be made ({error.strerror}): give --scores FILE") from error
    return folder / f"{hashlib.sha256(os.fsencode(words)).hexdigest()[:16]}.sqlite"
