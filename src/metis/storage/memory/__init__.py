"""The storage ports kept in memory: for tests and for trials that leave no trace."""
