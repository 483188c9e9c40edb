"""What is asked of the operating system: files, cores, processes; and of how this library was installed."""
