"""API shapes: one file each, listed in SHAPES. To add a shape, write its file and put its value here."""
