"""What a run is made of: names, intervals, and how its items are described."""

NAMESPACE = "chaos"
TOPICS = ("chaos-a", "chaos-b")
GROUPS = ("group-1", "group-2")
SERVERS = ("server-a", "server-b")
WORKERS = ("unary-1", "unary-2", "stream-1", "stream-2", "stream-3", "sdk-1")
"""Which protocol each speaks stands before the dash."""

LEASE_SECONDS = 1.0
OFFER_LEASE_SECONDS = 0.5
SERVER_FLAGS = (
    *("--lease-seconds", str(LEASE_SECONDS)),
    *("--offer-lease-seconds", str(OFFER_LEASE_SECONDS)),
    *("--ping-seconds", "0.5"),
    *("--silence-seconds", "2"),
    *("--drain-seconds", "1"),
)
CHANNEL_OPTIONS = (
    # The waits of a client that has lost its server stay short, as everything else in a run.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 300),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),
)
