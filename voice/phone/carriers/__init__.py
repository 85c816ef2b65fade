"""One module a carrier: its media stream, its documents, its signatures and its REST API, all without I/O."""
