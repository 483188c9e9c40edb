"""Labelled folders and tables to an `Evaluation` in one call, with the scores computed where there are none."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.evaluation import Evaluation, evaluate
from nsfw_caffe.evaluate.labelled import require, to_labelled_scores
from nsfw_caffe.evaluate.libraries import check_libraries
from nsfw_caffe.evaluate.load import look_up, read_labelled, read_scores, scores_of
from nsfw_caffe.evaluate.options import DEFAULTS, Options
from nsfw_caffe.results.names import decode_name
from nsfw_caffe.results.record import Provenance, Record
from nsfw_caffe.system.files import user_cache

if TYPE_CHECKING:
    from nsfw_caffe.classifier import Classifier
    from nsfw_caffe.scanning.scan import Progress

_Path = str | os.PathLike[str]

_ELSEWHERE = "give --scores FILE (in Python scores=FILE)"


def evaluate_folders(
    nsfw: _Path | Iterable[_Path],
    sfw: _Path | Iterable[_Path],
    *,
    options: Options = DEFAULTS,
    by: Sequence[str] = (),
    classifier: Classifier | Callable[[], Classifier] | None = None,
    scores: _Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score labelled folders, and find out how good the scores are.

    Scores are kept: a second call scores what is new or has changed, and goes on where the first was broken off.

    Parameters
    ----------
    nsfw, sfw : path, or iterable of paths
        Folders, archives or pictures of each label.
    options : Options, optional
        What is asked of the evaluation.
    by : sequence of str
        Columns of a scan, "format" for example, whose groups are told apart.
    classifier : Classifier, optional
        What scores, or a function that returns it, called where something is to be scored; by default the one that
        `nsfw_caffe.classify` uses.
    scores : path, optional
        Where scores are kept: RESULTS of a scan; by default a file in the user's cache for these folders and set-up.
    workers : int, optional
        As for `Classifier.scan`.
    progress : callable, optional
        As for `nsfw_caffe.scan`.

    Raises
    ------
    EvaluationError
        A folder is not there or holds nothing to score, or as for `evaluate`.
    NsfwCaffeError
        As for `nsfw_caffe.scan`.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import evaluate_folders
    >>> evaluation = evaluate_folders("labelled/nsfw", "labelled/sfw", scores="scores.csv")
    >>> evaluation.nsfw, evaluation.sfw, evaluation.failures
    (2, 2, ())
    """
    check_libraries()
    import pyarrow

    labelled = ((True, _paths(nsfw)), (False, _paths(sfw)))
    folders = [folder for _, named in labelled for folder in named]
    for folder in folders:
        if not os.path.lexists(folder):
            raise EvaluationError(f"{folder}: no such folder")
    score = _scorer(folders, classifier, scores, workers, progress)
    labels: list[bool] = []
    records: list[Record] = []
    for label, named in labelled:
        found = score(named)
        if not found:
            raise EvaluationError(f"{', '.join(named)}: there is nothing to score")
        records += found
        labels += [label] * len(found)
    table = scores_of(records, by).append_column("label", pyarrow.array(labels, pyarrow.bool_()))
    return evaluate(to_labelled_scores(table, ", ".join(folders), by), options)


def evaluate_table(
    table: _Path,
    *,
    results: _Path | None = None,
    options: Options = DEFAULTS,
    by: Sequence[str] = (),
    classifier: Classifier | Callable[[], Classifier] | None = None,
    scores: _Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Find out how good the scores of labelled sources are: a table's own, a finished scan's, or computed ones.

    Parameters
    ----------
    table : path
        A .csv, .jsonl, .parquet or .sqlite file with the column `label` (nsfw or sfw, 1 or 0), and `source` or `score`.
    results : path, optional
        RESULTS of a scan that has the scores of the table's sources. Without it, and without a column `score`, the
        sources are scored.
    by : sequence of str
        Columns, whose groups are told apart.
    options, classifier, scores, workers, progress
        As for `evaluate_folders`.

    Raises
    ------
    EvaluationError
        The table or the scan cannot be read or have nothing in common, or as for `evaluate`.
    NsfwCaffeError
        As for `nsfw_caffe.scan`.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import evaluate_table
    >>> evaluate_table("labels.csv").roc.auc
    0.75
    """
    check_libraries()
    labelled = read_labelled(Path(table), by)
    if results is not None:
        labelled = look_up(labelled, read_scores(Path(results), by), results)
    elif "score" not in labelled.column_names:
        sources = [decode_name(source) for source in labelled["source"].to_pylist()]
        score = _scorer([os.fspath(table)], classifier, scores, workers, progress)
        labelled = look_up(labelled, scores_of(score(sources), by), "what was scored")
    return evaluate(to_labelled_scores(labelled, os.fspath(table), by), options)


def keep_scores(table: _Path, classifier: Classifier, progress: Progress | None = None) -> Path:
    """Score a table's labelled sources; give the RESULTS, in the user's cache, that have the scores."""
    from nsfw_caffe.scanning.scan import set_up_of

    labelled = read_labelled(Path(table))
    require(labelled, ["source"], table)
    results = _kept_scores([os.fspath(table)], set_up_of(classifier))
    score = _scorer([], classifier, results, None, progress)
    score([decode_name(source) for source in labelled["source"].to_pylist()])
    return results


def _scorer(
    key: list[str],
    classifier: Classifier | Callable[[], Classifier] | None,
    scores: _Path | None,
    workers: int | None,
    progress: Progress | None,
) -> Callable[[list[str]], list[Record]]:
    """Return what scores sources and keeps the scores for the next time: without `scores`, in the cache under `key`."""
    from nsfw_caffe.classifier import Classifier, default_classifier
    from nsfw_caffe.scanning.scan import check_scan, scan, set_up_of

    made = classifier or default_classifier
    used = made if isinstance(made, Classifier) else made()
    results = Path(scores) if scores is not None else _kept_scores(key, set_up_of(used))
    records: list[Record] = []

    def score(sources: list[str]) -> list[Record]:
        before = len(records)

        def done(record: Record, total: int | None) -> None:
            records.append(record)
            if progress is not None:
                progress(record, None if total is None else before + total)

        check_scan(sources, results)
        # Of an iterator the sources are not counted: nobody would be told.
        paths = sources if progress is not None else iter(sources)
        scan(paths, results, classifier=used, workers=workers, progress=done)
        return records[before:]

    return score


def _kept_scores(key: list[str], made_with: Provenance) -> Path:
    """Name the file in the user's cache that keeps the scores of some folders, or of a table's sources."""
    cache = user_cache()
    if cache is None:
        raise EvaluationError(f"there is no home directory to keep scores in: {_ELSEWHERE}")
    words = "\n".join([*map(os.path.realpath, key), *map(str, made_with)])
    folder = cache / "evaluate"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvaluationError(f"{folder} cannot be made ({error.strerror}): {_ELSEWHERE}") from error
    return folder / f"{hashlib.sha256(os.fsencode(words)).hexdigest()[:16]}.sqlite"


def _paths(paths: _Path | Iterable[_Path]) -> list[str]:
    return [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
