"""The command line. Thin: what a command does lives below, here is how it is asked and how its answer is shown."""
