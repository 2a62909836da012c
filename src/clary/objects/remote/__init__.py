"""Objects' bytes in a bucket of another S3-compatible store."""
