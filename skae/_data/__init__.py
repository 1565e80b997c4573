"""Training data: batches, statistics, conditions."""
