"""Where things are kept: SQLite for real, memory for tests, behind the same ports."""
