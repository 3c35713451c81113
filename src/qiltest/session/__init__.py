"""What a pytest session of the suite does; `qiltest.plugin` holds the hooks that delegate here."""
