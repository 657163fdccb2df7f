"""What runs inside the orchestrator. The shop's data is a few lines, so that the graphs are what there is to see."""

from typing import Any

from bloge_orchestrator.operators import OperatorRegistry

registry = OperatorRegistry()

REVIEWS = {
    "lamps": [
        {"id": "r1", "text": "Great lamp, warm light, quick delivery. Love it!"},
        {"id": "r2", "text": "Broken on arrival, and the support was slow and rude."},
        {"id": "r3", "text": "It is a lamp."},
        {"id": "r4", "text": "ランプはとても良いです"},
        {"id": "r5", "text": "Good light, but the cable is bad."},
    ]
}
ORDERS = {
    "o-7": {
        "customer": "Ada",
        "lines": [{"article": "lamp", "price": 40.0, "count": 2}, {"article": "bulb", "price": 4.5, "count": 4}],
    }
}


@registry.operator("LoadReviews")
def load_reviews(node_input: dict[str, Any]) -> dict[str, Any]:
    """Give the reviews of a shop; none for one that nobody knows."""
    return {"reviews": REVIEWS.get(node_input["shop"], [])}


@registry.operator("LoadOrder")
def load_order(node_input: dict[str, Any]) -> dict[str, Any]:
    """Give an order by its id.

    Raises:
        KeyError: If there is none.
    """
    return ORDERS[node_input["id"]]


@registry.operator("WriteInvoice")
def write_invoice(node_input: dict[str, Any]) -> dict[str, Any]:
    """Write the line that a customer sees."""
    return {"text": f"{node_input['customer']}: order {node_input['order']}, {node_input['total']}"}


@registry.operator("OpenRefund")
def open_refund(node_input: dict[str, Any]) -> dict[str, Any]:
    """Open a refund."""
    return {"step": f"refund of {node_input['ticket']} opened"}


@registry.operator("TraceParcel")
def trace_parcel(node_input: dict[str, Any]) -> dict[str, Any]:
    """Ask the carrier, who is not there today.

    Raises:
        ConnectionError: Always.
    """
    raise ConnectionError(f"the carrier does not answer about {node_input['ticket']}")


@registry.operator("AskPerson")
def ask_person(node_input: dict[str, Any]) -> dict[str, Any]:
    """Put a ticket on somebody's desk."""
    return {"step": f"a person reads {node_input['ticket']}"}


@registry.operator("PagePerson")
def page_person(node_input: dict[str, Any]) -> dict[str, Any]:
    """Wake somebody up."""
    return {"paged": node_input["ticket"]}
