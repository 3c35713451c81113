"""The HTML page of a paired comparison: what `qiltest compare --report` and `qiltest check` write."""
