"""Air time of one connection, both directions.

A connection event begins every `interval`; in it, central and peripheral take turns, as long as one of
them has data and there is time left before the next event:

    central's packet, 150 us, peripheral's packet, 150 us

A packet is preamble, access address, header, payload, CRC (and MIC once the link is encrypted; counted
always, 4 bytes), at 1 or 2 Mbit/s; an empty one has no payload. A lost packet is sent again, and so is
the one it would have acknowledged. HCI packets longer than the negotiated data length are cut. Data is
delivered when its packet has been acknowledged, in real time.
"""

import asyncio
import dataclasses
import random

IFS = 150e-6


@dataclasses.dataclass
class Pace:
    interval: float | None = None  # ms
    phy: int = 2
    loss: float = 0.0
    max_octets: int = 251
    buffers: int = 12
    seed: int = 1


def air_time(octets, phy):
    """Seconds of a packet with so much payload."""
    preamble = 1 if phy == 1 else 2
    return (preamble + 4 + 2 + octets + (4 if octets else 0) + 3) * 8 / (phy * 1e6)


def limit(pace, att_payload=244):
    """Bytes per second of ATT values that this link can carry one way, nothing the other way."""
    octets = min(att_payload + 7, pace.max_octets)
    exchange = air_time(octets, pace.phy) + air_time(0, pace.phy) + 2 * IFS
    per_event = int(pace.interval / 1000 // exchange)
    return per_event * att_payload / (pace.interval / 1000)


class LinkModel:
    def __init__(self, pace, central, peripheral):
        self.pace, self.ends = pace, (central, peripheral)
        self.queues = {central: [], peripheral: []}
        self.random = random.Random(pace.seed)
        self.task = asyncio.get_running_loop().create_task(self._run())

    def stop(self):
        self.task.cancel()

    def send(self, end, starts, data):
        octets = min(end.octets, self.pace.max_octets)
        pieces = [data[i:i + octets] for i in range(0, len(data), octets)] or [b""]
        self.queues[end].append((pieces, starts, data))

    def _turn(self, end):
        """Length of the packet that this end sends now."""
        queue = self.queues[end]
        return len(queue[0][0][0]) if queue else 0

    def _acknowledge(self, end):
        queue = self.queues[end]
        if queue:
            pieces, starts, data = queue[0]
            pieces.pop(0)
            if not pieces:
                queue.pop(0)
                other = self.ends[1] if end is self.ends[0] else self.ends[0]
                end.sent()
                other.arrived(starts, data)

    async def _event(self, start):
        loop = asyncio.get_running_loop()
        central, peripheral = self.ends
        at, end = start, start + self.pace.interval / 1000
        while True:
            phy = min(central.phy, self.pace.phy)
            out, back = self._turn(central), self._turn(peripheral)
            if out == back == 0:
                return
            took = air_time(out, phy) + air_time(back, phy) + 2 * IFS
            if at + took > end:
                return
            at += took
            if at > loop.time():
                await asyncio.sleep(at - loop.time())
            if self.random.random() >= self.pace.loss:
                if out:
                    self._acknowledge(central)
                if back and self.random.random() >= self.pace.loss:
                    self._acknowledge(peripheral)

    async def _run(self):
        loop = asyncio.get_running_loop()
        interval = self.pace.interval / 1000
        anchor, event = loop.time(), 0
        while True:
            event = max(event + 1, int((loop.time() - anchor) / interval))
            start = anchor + event * interval
            if start > loop.time():
                await asyncio.sleep(start - loop.time())
            await self._event(start)
