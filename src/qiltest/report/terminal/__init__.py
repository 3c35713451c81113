"""Plain text for the terminal: the table of a session, the message of a failing test, a comparison."""
