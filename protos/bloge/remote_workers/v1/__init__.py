"""Generated stubs of `bloge.remote_workers.v1`."""
