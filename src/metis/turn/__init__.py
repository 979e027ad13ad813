"""The hallway: one turn from the client's request to its last byte, as a state machine without I/O."""
