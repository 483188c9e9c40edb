"""Packaging: everything that can be said without code stands in pyproject.toml."""

import sysconfig

from setuptools import Extension, setup

# One wheel for this Python and all later ones. The builds without a global lock have no stable ABI.
LIMITED = not sysconfig.get_config_var("Py_GIL_DISABLED")

# Optional: where there is no compiler, Pillow does the resize, to the same bits. No fused multiply-add, which would
# round the coefficients otherwise on CPUs that have it in their baseline.
resize = Extension(
    "nsfw_caffe.preprocessing._resize",
    sources=["nsfw_caffe/preprocessing/_resize.c"],
    depends=["nsfw_caffe/preprocessing/_resize_passes.h", "nsfw_caffe/preprocessing/_resize_vectors.h"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED else [],
    py_limited_api=LIMITED,
    extra_compile_args=["-std=c11", "-O3", "-ffp-contract=off"],
    optional=True,
)

setup(ext_modules=[resize], options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {})
