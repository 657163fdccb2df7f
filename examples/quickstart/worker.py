"""A whole worker: `python -m examples.quickstart.worker`. The server is at BLOGE_ADDRESS, else at 127.0.0.1:7070."""

from bloge_worker import WorkContext, Worker

worker = Worker()


@worker.handler("greetings", operator="Greet")
def greet(person: dict[str, str], ctx: WorkContext) -> dict[str, str]:
    """Greet somebody; what is returned becomes the item's output."""
    ctx.log.info("attempt %d", ctx.attempt)
    return {"greeting": f"Hello, {person['name']}!"}


if __name__ == "__main__":
    worker.run_forever()
