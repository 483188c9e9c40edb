"""Packaging: everything that can be said without code stands in pyproject.toml."""

from setuptools import Extension, setup

# Optional: where there is no compiler, Pillow does the resize, to the same bits. No fused multiply-add, which would
# round the coefficients otherwise on CPUs that have it in their baseline.
resize = Extension(
    "nsfw_caffe.preprocessing._resize",
    sources=["nsfw_caffe/preprocessing/_resize.c"],
    depends=["nsfw_caffe/preprocessing/_resize_passes.h", "nsfw_caffe/preprocessing/_resize_vectors.h"],
    extra_compile_args=["-std=c11", "-O3", "-ffp-contract=off"],
    optional=True,
)

setup(ext_modules=[resize])
