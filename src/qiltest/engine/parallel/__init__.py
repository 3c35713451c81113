"""Generate on several workers: processes of this host, one GPU each, or actors of a Ray cluster."""
