"""Definitions from what people already have."""
