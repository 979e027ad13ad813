"""The admin plane: reports, keys, metrics and a small page, on their own port. Nothing here is on the hot path."""
