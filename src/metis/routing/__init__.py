"""The seven slots: which model serves a request, and why. Pure; providers are known here only as targets."""
