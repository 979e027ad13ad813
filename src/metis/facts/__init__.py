"""Values that all floors speak of: usage, failure classes, decisions, who is asking. No rules."""
