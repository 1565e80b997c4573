"""The scikit-learn side that all autoencoders share."""
