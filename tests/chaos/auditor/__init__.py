"""Judges a run by its log and its records alone; it shares no code with the product, nor its libraries."""
