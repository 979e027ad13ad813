"""Reading the ledger: spend, receipts, what a baseline model would have cost. Values and ports, no storage."""
