"""A client that goes away in the middle of an order."""

import json
import socket
import struct

from ground import Ground, Suite, equal, until

ground = Ground()
suite = Suite()
key = ground.keys["leaving"]


def leave():
    ground.simulator.script("/v1/order/new", {"delay_ms": 500}, key=key)
    order = {
        "symbol": "btcusd", "amount": "0.01", "price": "50000.00", "side": "buy", "type": "exchange limit",
        "client_order_id": "left",
    }
    body = json.dumps(order)
    head = (
        f"POST /v1/order/new HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {ground.tokens['leaver']}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", ground.bare_port))
    connection.sendall((head + body).encode())
    until("the order's arrival", lambda: ground.simulator.entries(client_order_id="left"))
    # A reset, not a goodbye.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    until("the order's execution", lambda: ground.simulator.entries(client_order_id="left", executed=True))
    equal(len(ground.simulator.entries(client_order_id="left")), 1)


def told():
    def lines():
        found = [it for it in ground.log() if it.get("client") == "leaver"]
        return [it for it in found if it.get("operation") == "create_order"]

    until("the log line", lines)
    [line] = lines()
    equal((line["status"], line["outcome"], line["key"]), (200, "executed", "leaving"))


suite.case("the order is carried out all the same", leave)
suite.case("its log line is written, once, with its outcome", told)
suite.end()
