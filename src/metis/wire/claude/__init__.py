"""What Claude models take, whichever API serves them: of reasoning, sampling, schemas."""
