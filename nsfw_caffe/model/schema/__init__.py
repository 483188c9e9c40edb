"""The Caffe messages that this library reads: ``caffe.proto`` and, generated from it, ``caffe_pb2``."""
