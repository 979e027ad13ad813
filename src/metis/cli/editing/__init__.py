"""Editing other tools' configuration files: the smallest change that does it, and the way back."""
