"""What a user's mark leaves in the database for a triggerer to do."""

from __future__ import annotations

import json
from typing import Any

from tests.plugin.api import ApiServer
from tests.plugin.test_plugin_permissions import waiting_job


def test_a_cancel_is_ordered_where_the_trigger_may_not_send_it(api: ApiServer) -> None:
    ordered_at_once: dict[str, Any] = {"left": 0, "holds": False}
    ordered_in_doubt = {"left": 60, "holds": True}
    left_to_the_trigger = {"left": None, "holds": True}
    place = waiting_job(50)
    left = json.loads(api.run("tests.plugin.marks", *map(str, place.values())))
    idle = {name.removeprefix("idle: "): left.pop(name) for name in list(left) if name.startswith("idle: ")}
    assert idle == {
        "up_for_reschedule": True,
        "queued": True,
        "scheduled": True,
        "up_for_retry": True,
        "None": True,
        "running": False,  # its own process is told, and cancels
        "success": False,
        "its run is marked failed": True,
        "its run is marked success": False,
        "skipped before its run failed": False,
        "no way to cancel": False,
        "it has not begun": False,
        "it cannot be kept": False,
    }
    assert left == {
        "no triggerer has it": ordered_at_once,
        "its triggerer is dead": ordered_at_once,
        "its triggerer was stopped": ordered_at_once,
        "its triggerer has it for long": left_to_the_trigger,
        "its triggerer has just got it": ordered_in_doubt,
        "its triggerer is late": ordered_in_doubt,
        "marked success": left_to_the_trigger,
        "marked success, to be cancelled": ordered_at_once,
        "no way to cancel": left_to_the_trigger,
    }
