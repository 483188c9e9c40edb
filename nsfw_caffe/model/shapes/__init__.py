"""The shapes of a network's blobs, those between its layers and those that they learn, as Caffe's Reshape has them.

What Caffe would abort on, and what it cannot know before it has read data, is an error that names the layer. The names
in docstrings are those of Caffe's classes and functions.
"""
