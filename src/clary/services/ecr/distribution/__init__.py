"""The registry as its clients speak to it (OCI distribution specification 1.1). Each request is one of ECR's
operations, by whose name policies allow it."""
