"""From a source to the network's input, bit for bit as the original script does it."""
