"""SQLite (WAL): the ledger, the accounts and their schema."""
