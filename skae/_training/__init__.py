"""The training loop, validation, and inference in chunks."""
