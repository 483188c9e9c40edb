"""Scores as columns of a Spark DataFrame."""

from nsfw_caffe.spark.driver import score_images, score_paths

__all__ = ["score_images", "score_paths"]
