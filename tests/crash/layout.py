"""What the processes of a run agree on."""

from pathlib import Path

FOLDER = Path(__file__).parent
NAMESPACE = "crash"
TOPIC = "crash"
LEASE_SECONDS = 1.0
GIVEN = {"n": 7}
OPERATORS = "crash.operators:registry"
