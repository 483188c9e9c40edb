"""`python -m nsfw_caffe` is `nsfw-caffe`."""

import sys

from nsfw_caffe.cli import main

sys.exit(main())
