"""A model's engines in this process, loaded when they are first asked for, and anew in a forked child."""

from __future__ import annotations

import ctypes
import dataclasses
import threading
import weakref

from nsfw_caffe.engines.base import Engine, FeatureReader, create_engine, create_reader
from nsfw_caffe.errors import EngineUnavailable, ModelError
from nsfw_caffe.model.spec import ModelFiles, model_files
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.system.forking import in_forked_child


class LoadedEngines:
    """Engines of one kind, for different numbers of callers: the first, for one, and more of its files and options."""

    def __init__(self, engine: Engine, files: ModelFiles, options: ScoringOptions) -> None:
        self.files = files
        self.options = options
        self.hashes = files.hashes()  # of the model's two files
        self.parallelism = engine.parallelism
        self._engines = {1: engine}
        self._reader: FeatureReader | None = None
        self._used: set[int] = set()
        self._lock = threading.Lock()
        self._forked = False
        self.closed = False
        _all.add(self)

    def get(self, callers: int = 1) -> Engine:
        """Return an engine that gives each of several callers its share of the cores; ValueError if this is closed."""
        with self._lock:
            self.require_open()
            self._used.add(callers)
            if callers not in self._engines:
                self._release_unused()  # before the next one needs the memory
                self._engines[callers] = self._load(callers)
            return self._engines[callers]

    def reader(self, blob: str) -> FeatureReader:
        """Return what reads a network's feature map, the blob of this name; ValueError if this is closed."""
        engine = self.get()
        with self._lock:
            self.require_open()
            if self._reader is None:
                self._reader = create_reader(engine, self.unchanged_files(), self.options, blob)
            return self._reader

    def release_unused(self) -> None:
        """Let go of an engine that was loaded, and that nobody has asked for; it is loaded again when somebody does."""
        with self._lock:
            self.require_open()
            self._release_unused()

    def _release_unused(self) -> None:
        self._engines = {callers: engine for callers, engine in self._engines.items() if callers in self._used}

    def close(self) -> None:
        """Let go of all engines; those that are at work end it."""
        with self._lock:
            self.closed = True
            self._engines = {}
            self._reader = None

    def require_open(self) -> None:
        """Raise ValueError if this is closed."""
        if self.closed:
            raise ValueError("this Classifier is closed: make a new one")

    def _load(self, callers: int) -> Engine:
        if self._forked and self.options.gpu is not None:
            raise EngineUnavailable(
                f"device {self.options.device!r}: CUDA, once used, cannot be used in a child after os.fork; "
                "create the Classifier in the child alone, or start the child with multiprocessing's 'spawn'"
            )
        return create_engine(self.unchanged_files(), self.options, callers)

    def unchanged_files(self) -> ModelFiles:
        """Give the model's files; ModelError where they are others than those that the first engine has loaded."""
        original = model_files(self.files.prototxt, self.files.caffemodel).original
        files = dataclasses.replace(self.files, original=original)
        if files.hashes() != self.hashes:
            raise ModelError(f"{files.prototxt} and {files.caffemodel} have changed since this Classifier was made")
        return files

    def _forget(self) -> None:
        """Have engines loaded anew in a child, which has none of the threads of those that it has inherited."""
        # These wait for their threads when they are destroyed, so they never are, not even when the interpreter ends.
        for inherited in (*self._engines.values(), self._reader):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
        self._engines = {}
        self._reader = None
        self._lock = threading.Lock()  # a thread that the child lacks may have held it
        self._forked = True


_all: weakref.WeakSet[LoadedEngines] = weakref.WeakSet()


def _after_fork() -> None:
    for engines in _all:
        engines._forget()


in_forked_child(_after_fork)
