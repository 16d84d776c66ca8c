"""What a receiver in another language does: recomputes the ids of events from their documents alone.

Reads CloudEvents, a JSON object a line, and writes the id of each one as events/src/identity.rs documents
it. It shares no code with the gateway.
"""

import json
import sys
import uuid
from datetime import datetime, timedelta, timezone

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:penstock:event")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def micros(text):
    return (datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH) // timedelta(microseconds=1)


def natural_key(event):
    time, data = micros(event["time"]), event["data"]
    match event["type"]:
        case "telemetry.sampled":
            return [data["tag"], time]
        case "machine.state_changed":
            return [data["tag"], data["state"], time]
        case "production.completed":
            return [data["tag"], micros(data["counter"]["epoch"]), data["counter"]["to"]]
        case "maintenance.alert_raised":
            return [data["tag"], time, data["condition"]]
        case "maintenance.alert_cleared":
            return [data["tag"], micros(data["since"]), data["condition"]]
        case "gateway.source_down" | "gateway.source_up":
            return [data["source"], time]
        case "gateway.gap":
            return [data["stream"], int(data["first"]), int(data["last"])]
        case "gateway.started":
            return [time]
        case unknown:
            sys.exit(f"event_id.py: {unknown!r} is not a type of the contract")


for line in sys.stdin:
    event = json.loads(line)
    _, _, site, asset = event["source"].split(":")
    name = "|".join(map(str, ["v1", event["type"], site, asset, *natural_key(event)]))
    print(uuid.uuid5(NAMESPACE, name))
