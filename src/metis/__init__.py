"""Metis: an LLM gateway and agent runtime. The package's own version lives here, and nothing else may."""

__version__ = "0.1.0"
