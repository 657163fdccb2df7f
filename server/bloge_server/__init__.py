"""Control plane that leases BLOGE work items to remote workers."""
