"""The door: the data plane's protocol server (hot path) and the admin plane."""
