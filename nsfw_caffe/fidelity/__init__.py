"""Whether this machine gives the recorded bits, and those that others published."""
