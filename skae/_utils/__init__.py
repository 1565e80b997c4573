"""Small helpers that know nothing of autoencoders."""
