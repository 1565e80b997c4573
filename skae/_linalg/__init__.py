"""Linear algebra on numpy arrays."""
