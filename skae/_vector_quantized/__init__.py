"""The vector-quantised autoencoder and its prior."""
