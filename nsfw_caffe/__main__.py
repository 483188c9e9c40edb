"""`python -m nsfw_caffe` is `nsfw-caffe`."""

import sys

from nsfw_caffe import cli
from nsfw_caffe.said import keep_apart


def main() -> int:
    """Run the command line as a program of its own and return its exit status."""
    keep_apart()
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
