"""Training jobs: the declaration, the operations, the reconciler."""
