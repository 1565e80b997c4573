"""Anomaly detection: outliers and novelties."""
