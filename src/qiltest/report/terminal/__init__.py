"""Reports as plain text for a terminal: table, failure message, comparison."""
