from __future__ import annotations

from collections.abc import Iterator

import pytest

from nsfw_caffe.model.spec import ModelFiles
from tests.service.running import Service, running
from tests.support import PHOTOS


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Iterator[Service]:  # noqa: ARG001
    """Return a service with one worker and small limits: 2 MiB in 2 seconds, 3 seconds a picture, 10 frames a video."""
    limits = "--workers 1 --queue 8 --seconds 3 --body-seconds 2 --max-size 2 --items 5 --video-frames 10"
    with running(tmp_path_factory.mktemp("service"), *limits.split()) as service:
        yield service


@pytest.fixture(scope="session")
def lenient(tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Iterator[Service]:  # noqa: ARG001
    """Return a service that asks for a key, and in which nothing but the time, 3 seconds, stops pictures and URLs."""
    folder = tmp_path_factory.mktemp("lenient")
    keys = folder / "keys"
    keys.write_text("# of the tests\n\nfirst-key\n  second-key  \n")
    limits = "--workers 1 --queue 2 --seconds 3 --max-size 64 --max-steps none --allow-url --fetch-seconds 2"
    with running(folder, *limits.split(), "--api-key-file", keys, key="first-key") as service:
        yield service


@pytest.fixture(scope="session")
def photo() -> bytes:
    """Return an ordinary photograph."""
    return (PHOTOS / "rocket.jpg").read_bytes()
