"""A process that scores pictures and videos for the service, one at a time, until that closes the connection or dies.

It is started as a program of its own, as Caffe's workers are. A picture that takes too long, or that kills what decodes
it, costs this process and not the service.
"""

from __future__ import annotations

import dataclasses
import io
import signal
import sys
import time
from multiprocessing.connection import Connection

import numpy as np

from nsfw_caffe.classifier import Classifier
from nsfw_caffe.engines.base import EngineNotInstalledError, require_engine
from nsfw_caffe.engines.blas import loaded_blas, set_openblas_threads, threads_that_matter
from nsfw_caffe.errors import ImageError, ModelError, NsfwCaffeError, ScoreError
from nsfw_caffe.model.spec import INPUT_SHAPE
from nsfw_caffe.preprocessing.decoder_warnings import keep_apart
from nsfw_caffe.service.jobs import Answer, Job, NoDecoder, Watch
from nsfw_caffe.service.set_up import Description, WorkerSetUp
from nsfw_caffe.system import processes

VIDEO_PIXELS = 9_000_000
"""Of a video's frame, at most: 4K has fewer. A decoder of H.264 takes a tenth of the 3.7 GB of 100 megapixels then."""


def main(descriptor: str, parent: str) -> None:
    """Answer the jobs that come over the connection; the first message is what the Classifier is made of."""
    # Both reach all of the service's processes from terminals and service managers: the service ends this one itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if not processes.die_with_parent(int(parent)):
        return
    processes.leave_no_core()
    keep_apart()
    connection: Connection = Connection(int(descriptor))
    try:
        try:
            classifier, description = _load(connection.recv())
        except NsfwCaffeError as error:
            connection.send(error)
            return
        connection.send(description)
        while True:
            job: Job = connection.recv()
            connection.send(_answer(classifier, job))
    except (EOFError, ConnectionError):
        pass


def _load(set_up: WorkerSetUp) -> tuple[Classifier, Description]:
    scoring = set_up.scoring
    # Caffe's bits may depend on the number of threads, so there it is what was asked for.
    threads = scoring.threads if require_engine(scoring) == "caffe" else set_up.threads
    classifier = Classifier.from_options(dataclasses.replace(scoring, threads=threads), **set_up.model)
    if classifier.engine == "caffe":
        _share_cores(set_up)
    # The first forward pass takes its memory, and shows that there is one.
    classifier.classify(np.zeros((*INPUT_SHAPE[1:], 3), np.uint8))
    options = dataclasses.replace(scoring, engine=classifier.engine)
    return classifier, Description(options, classifier.model_sha256, classifier.classes, classifier.score_class)


def _share_cores(set_up: WorkerSetUp) -> None:
    """Leave the other cores to the other workers, without another score's bits."""
    if threads_that_matter() is None:
        blas = loaded_blas()
        if blas is not None and blas.name == "openblas":
            set_openblas_threads(set_up.threads)
        return
    # All of them on one core: their share of the work is what matters, not who does it when.
    cores = processes.own_cores()
    processes.keep_to_cores([cores[set_up.number % len(cores)]])


def _answer(classifier: Classifier, job: Job) -> Answer | ImageError | ScoreError | NoDecoder:
    """Do a job; what is no fault of the file's, such as too little memory, ends the process."""
    start = time.perf_counter()
    try:
        answer = _do(classifier, job)
    except (ImageError, ScoreError, NoDecoder) as error:
        return error
    stage = "score" if job.kind == "picture" else "video"
    return dataclasses.replace(answer, seconds={stage: time.perf_counter() - start})


def _do(classifier: Classifier, job: Job) -> Answer:
    if job.watch is not None:
        return _watch(classifier, job.content, job.watch)
    return Answer(classifier.classify(job.content)) if job.task == "score" else _explain(classifier, job)


def _watch(classifier: Classifier, video: bytes, asked: Watch) -> Answer:
    from nsfw_caffe.sources.video_file import PyAVNotInstalledError
    from nsfw_caffe.video import THRESHOLD

    limits = classifier.options.limits
    try:
        result = classifier.classify_video(
            video,
            asked.every,
            asked.start,
            asked.end,
            asked.limit,
            threshold=THRESHOLD if asked.threshold is None else asked.threshold,
            stop_at=asked.stop_at,
            workers=1,
            limits=dataclasses.replace(limits, pixels=min(limits.pixels or VIDEO_PIXELS, VIDEO_PIXELS)),
        )
    except PyAVNotInstalledError as error:
        raise NoDecoder("this service reads animations, and no videos: PyAV is not installed") from error
    return Answer(result.max_score, video=result.to_json())


def _explain(classifier: Classifier, job: Job) -> Answer:
    from nsfw_caffe.explain import overlay

    try:
        explanation = classifier.explain(job.content, detail="fine" if job.fine else "exact")
    except (ModelError, EngineNotInstalledError) as error:  # a network that has no map, or no onnx to read it with
        raise error if isinstance(error, ScoreError) else ScoreError(str(error)) from error
    drawn = None
    if job.task == "overlay":
        output = io.BytesIO()
        overlay(job.content, explanation, limits=classifier.options.limits).save(output, "PNG")
        drawn = output.getvalue()
    return Answer(explanation.score, explanation=explanation.to_json(), overlay=drawn)


if __name__ == "__main__":
    main(*sys.argv[1:])
