//! Images on disk: content-addressed blobs in an OCI image layout, and their layers unpacked once.
