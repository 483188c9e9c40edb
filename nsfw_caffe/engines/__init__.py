"""The engines that run the network; `base` says what one is."""
