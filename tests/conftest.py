from __future__ import annotations

import pytest

import nsfw_caffe
from nsfw_caffe.model import ModelFiles, fetch


@pytest.fixture(scope="session")
def model_files() -> ModelFiles:
    """Return the original model's two files."""
    return fetch()


@pytest.fixture(scope="session")
def classifier(model_files: ModelFiles) -> nsfw_caffe.Classifier:  # noqa: ARG001 - fetched first
    """Return the original network in the real Caffe, on the default BLAS."""
    return nsfw_caffe.Classifier(engine="caffe")
