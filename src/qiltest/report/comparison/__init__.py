"""The HTML page of a paired comparison."""
