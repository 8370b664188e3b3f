"""Soravec turns video into dense vectors, and vectors into answers."""

__version__ = "0.1.0"
