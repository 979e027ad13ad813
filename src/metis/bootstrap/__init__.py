"""The composition root: the one place that builds adapters, and the processes that run them."""
