"""pymodbus_client.py PORT SECONDS: makes the requests of standard input, each "unit first count wanted", over and
over, and says how many wanted registers were read, the processor time and the time in seconds."""

import sys
import time

from pymodbus.client import ModbusTcpClient

port, seconds = int(sys.argv[1]), float(sys.argv[2])
requests = [tuple(map(int, line.split())) for line in sys.stdin]
client = ModbusTcpClient("127.0.0.1", port=port)
if not client.connect():
    sys.exit("no connection")
readings, next_request = 0, 0
cpu, begun = time.process_time(), time.monotonic()
while time.monotonic() - begun < seconds:
    unit, first, count, wanted = requests[next_request]
    next_request = (next_request + 1) % len(requests)
    reply = client.read_holding_registers(first, count=count, device_id=unit)
    if reply.isError():
        sys.exit(str(reply))
    readings += wanted * (len(reply.registers) == count)
print(readings, time.process_time() - cpu, time.monotonic() - begun)
