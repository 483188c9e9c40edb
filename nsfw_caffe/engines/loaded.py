"""A model's engines in this process, loaded when they are first asked for, and anew in a forked child."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import threading
import weakref

from nsfw_caffe.engines.base import Engine, EngineOptions, create_engine
from nsfw_caffe.errors import EngineUnavailable, ModelError
from nsfw_caffe.model.locate import ModelFiles, resolve


class LoadedEngines:
    """Engines of one kind, which differ in how many callers they are for.

    Parameters
    ----------
    engine : Engine
        The loaded network, for one caller at a time.
    files, options : ModelFiles, EngineOptions
        What it was created from, to create more of its kind.

    Attributes
    ----------
    files : ModelFiles
        As given.
    model_sha256 : str
        Their hash, see `ModelFiles.sha256`.
    """

    def __init__(self, engine: Engine, files: ModelFiles, options: EngineOptions) -> None:
        self.files = files
        self.model_sha256 = files.sha256()
        self._name = engine.name
        self._options = options
        self._engines = {1: engine}
        self._lock = threading.Lock()
        self._forked = False
        _all.add(self)

    def get(self, callers: int = 1) -> Engine:
        """Return an engine that gives each of several callers its share of the cores: the least waiting for others.

        Raises
        ------
        EngineUnavailable
            If it cannot be loaded, or the process is the child of one that used a GPU before `os.fork`.
        ModelError
            If it cannot be loaded, or the model's files have changed.
        """
        with self._lock:
            if callers not in self._engines:
                self._engines[callers] = self._load(callers)
            return self._engines[callers]

    def _load(self, callers: int) -> Engine:
        if self._forked and self._options.gpu is not None:
            raise EngineUnavailable(
                f"device 'gpu:{self._options.gpu}': CUDA, once used, cannot be used in a child after os.fork; "
                "create the Classifier in the child alone, or start the child with multiprocessing's 'spawn'"
            )
        # What was checked when the first one was loaded may be something else by now.
        files = resolve(self.files.prototxt, self.files.caffemodel)
        if files.sha256() != self.model_sha256:
            raise ModelError(f"{files.prototxt} and {files.caffemodel} have changed since this Classifier was made")
        return create_engine(self._name, files, dataclasses.replace(self._options, concurrency=callers))

    def _forget(self) -> None:
        """Have engines loaded anew in a child, which has none of the threads of those that it has inherited.

        These wait for their threads when they are destroyed, so they never are, not even when the interpreter ends.
        """
        for engine in self._engines.values():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))
        self._engines = {}
        self._lock = threading.Lock()  # a thread that the child lacks may have held it
        self._forked = True


_all: weakref.WeakSet[LoadedEngines] = weakref.WeakSet()


def _after_fork() -> None:
    for engines in _all:
        engines._forget()


os.register_at_fork(after_in_child=_after_fork)
