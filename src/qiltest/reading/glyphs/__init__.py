"""See whether the strokes of a character are whole: what a reader reads through."""
