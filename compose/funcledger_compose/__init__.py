"""The composition root: the only place where concrete parts meet. Settings, command line, standalone."""
