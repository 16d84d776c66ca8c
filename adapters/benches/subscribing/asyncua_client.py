"""asyncua_client.py ITEMS PORT SIZE SECONDS PUBLISH QUEUE: subscribes to the oven's variables T0, T1 and so on, SIZE in a
subscription, and says how many values came once each had its first, the processor time and the time in seconds."""

import asyncio
import logging
import sys
import time

from asyncua import Client, ua

items, port, size, queue = (int(sys.argv[at]) for at in (1, 2, 3, 6))
seconds, publish = float(sys.argv[4]), float(sys.argv[5])
SET_UP_WITHIN = 300


class Counter:
    def __init__(self):
        self.values = 0

    def datachange_notification(self, node, value, data):
        self.values += 1


async def main():
    counter = Counter()
    client = Client(f"opc.tcp://127.0.0.1:{port}/oven", timeout=SET_UP_WITHIN)
    async with client:
        namespace = await client.get_namespace_index("urn:plant:oven")
        nodes = [client.get_node(ua.NodeId(f"T{number}", namespace)) for number in range(items)]
        for first in range(0, items, size):
            subscription = await client.create_subscription(publish * 1000, counter)
            await subscription.subscribe_data_change(nodes[first:first + size], queuesize=queue, sampling_interval=0)
        async with asyncio.timeout(SET_UP_WITHIN):
            while counter.values < items:
                await asyncio.sleep(0.02)
        before, cpu, begun = counter.values, time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        print(counter.values - before, time.process_time() - cpu, time.monotonic() - begun, flush=True)


logging.disable(logging.CRITICAL)
asyncio.run(main())
