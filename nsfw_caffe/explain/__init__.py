"""Which parts of a picture make its score: exact heat maps, and pictures of them.

>>> import nsfw_caffe
>>> explanation = nsfw_caffe.Classifier().explain("photo.jpg")
>>> nsfw_caffe.explain.overlay("photo.jpg", explanation).save("heat.png")  # doctest: +SKIP
"""

from nsfw_caffe.explain.drawing import overlay
from nsfw_caffe.explain.explanation import Explanation

__all__ = ["Explanation", "overlay"]
