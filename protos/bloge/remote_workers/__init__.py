"""Wire contract of the BLOGE remote-worker control plane."""
