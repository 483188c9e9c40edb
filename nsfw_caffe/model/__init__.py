"""The model's two files: which they are, where they lie, that they are whole, and reading them."""
