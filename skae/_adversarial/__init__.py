"""The adversarial autoencoder."""
