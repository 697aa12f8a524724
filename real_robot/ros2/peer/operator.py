"""`Operator`: who configures, activates and arms the controller, and reads its diagnostics."""

# pyright: reportMissingImports=false

from __future__ import annotations

import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from std_srvs.srv import Trigger

CONTROLLER = "/policy_controller"
TRANSITIONS = {"configure": 1, "cleanup": 2, "activate": 3, "deactivate": 4}
SERVICES = ("arm", "disarm", "stop", "reset")


class Operator(Node):
    """Calls the controller's services; its methods are called from a thread beside the executor's.

    Attributes:
        diagnostics: the last that came: level, message, and values by name.
    """

    def __init__(self) -> None:
        super().__init__("operator")
        self.diagnostics: dict[str, Any] = {}
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._triggers = {
            name: self.create_client(Trigger, f"{CONTROLLER}/{name}") for name in SERVICES
        }
        self._state = self.create_client(ChangeState, f"{CONTROLLER}/change_state")

    def change(self, transition: str, timeout_s: float) -> dict[str, Any]:
        """Asks for a transition of the controller's lifecycle."""
        request = ChangeState.Request()
        request.transition.id = TRANSITIONS[transition]
        answer = self._called(self._state, request, timeout_s)
        return {"ok": answer.success, "message": transition}

    def serve(self, name: str, timeout_s: float) -> dict[str, Any]:
        """Calls one of the controller's own services."""
        answer = self._called(self._triggers[name], Trigger.Request(), timeout_s)
        return {"ok": answer.success, "message": answer.message}

    def _called(self, client: Any, request: Any, timeout_s: float) -> Any:
        if not client.wait_for_service(timeout_s):
            raise TimeoutError(f"{client.srv_name} is not there after {timeout_s:g} s")
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        if not done.wait(timeout_s):
            client.remove_pending_request(future)
            raise TimeoutError(f"{client.srv_name} did not answer in {timeout_s:g} s")
        return future.result()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            self.diagnostics = {"level": level, "message": status.message, "values": values}
