"""TensorBoard's event files read back: records of length, checksum, message, checksum."""

from __future__ import annotations

import struct
from pathlib import Path


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Name -> update -> value of all that was logged below `folder`; names begin with the log's part: `train_inner/loss`."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        content, place = path.read_bytes(), 0
        while place < len(content):
            length, = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12:place + 12 + length])
            place += 12 + length + 4
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    found.setdefault(f"{path.parent.relative_to(folder)}/{value.tag}", {})[event.step] = value.simple_value
    return found
