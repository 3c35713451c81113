"""Cases and variants: TOML schemas, checks, loading, and the selection of samples."""
