"""The subcommands of `nsfw-caffe`: each module adds its own to the parser and runs it."""
