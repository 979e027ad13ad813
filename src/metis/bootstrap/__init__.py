"""The composition root: the one place that builds adapters and puts them into ports, and the processes that run them."""
