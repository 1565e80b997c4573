"""Helpers that do not depend on autoencoders."""
