"""A worker whose handler breaks on some inputs: `python worker.py ADDRESS NAMESPACE WORKER_ID`."""

import sys

from bloge_worker import Worker

TOPIC, OPERATOR = "billing", "SplitBill"


def make_worker(address: str, namespace: str, worker_id: str) -> Worker:
    """Return the worker."""
    worker = Worker(address, namespace=namespace, worker_id=worker_id, slots=8)

    @worker.handler(TOPIC, operator=OPERATOR)
    def split(bill: dict[str, float]) -> dict[str, float]:
        return {"each": share(bill["total"], bill["guests"])}

    @worker.handler(TOPIC, operator="CheckBill")
    def check(bill: dict[str, float]) -> dict[str, bool]:
        return {"plausible": bill["total"] >= 0}

    return worker


def share(total: float, guests: float) -> float:
    """Return what each guest pays."""
    return total / guests


if __name__ == "__main__":
    make_worker(*sys.argv[1:4]).run_forever()
