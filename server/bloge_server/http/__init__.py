"""What the server tells and takes over HTTP, beside gRPC and in the same process."""
