"""Training on pictures of one's own, by Caffe's solver in a process of its own."""
