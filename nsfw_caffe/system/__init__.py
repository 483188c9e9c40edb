"""What is asked of the operating system: files, cores, processes."""
