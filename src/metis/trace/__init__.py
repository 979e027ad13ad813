"""Writing down: events, the spool they are appended to, and the recorder that moves them into storage."""
