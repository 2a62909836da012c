"""Endpoints: the declaration, the operations, the reconciler."""
