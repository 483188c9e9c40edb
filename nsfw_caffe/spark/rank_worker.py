"""The solver of one rank, a program of its own that averages its gradients with the others'."""

from __future__ import annotations

import sys

from nsfw_caffe.spark.exchange import join
from nsfw_caffe.training import solver_worker

if __name__ == "__main__":
    solver_worker.main(sys.argv[1], join)
