"""Container images at rest: repositories, manifests, tags, layers, uploads. Knows neither HTTP nor AWS's operations.

A repository is named by account, region and name. An image is a manifest (OCI's or Docker's) or an index of them, known
by the digest of its bytes; what it needs is in its repository before it is. Rows are beside the object index, and the
bytes of layers are blobs of the object store.
"""
