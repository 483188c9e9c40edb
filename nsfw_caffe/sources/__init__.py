"""Finding pictures in files, folders, lists and archives, and reading them."""
