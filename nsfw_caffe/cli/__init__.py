"""The subcommands of `nsfw-caffe`: each module adds its own to the parser, runs it, and returns an exit status."""

OK = 0
SOME_FAILED = 1
"""Some picture failed, some bits differ, or the output could not be written."""
USAGE = 2
"""What was asked for cannot be done as it was asked for."""
UNAVAILABLE = 3
"""The model or the engine is missing or unusable."""
STOPPED = 4
"""A scan was stopped, or another one is at work."""
UNREADABLE = 5
"""A file of results, or of labels, is missing, damaged or none."""
INTERRUPTED = 130
"""By Ctrl-C; shells have it as 128 and the signal's number."""
