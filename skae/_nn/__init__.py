"""Modules of encoder and decoder, torch only."""
