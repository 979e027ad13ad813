"""The embedded model: a llama.cpp server in a process of its own. How it is spoken to lives in `providers`."""
