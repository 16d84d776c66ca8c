"""A Modbus TCP server of pymodbus that serves some places and refuses all others.

    register_map.py HOST PORT UNITS PLACES...        such as: 127.0.0.1 0 1,7 holding:0-9 coil:0-15

Says {"listening": 40123} on standard output, and {"wrote": 6} for each request whose function is no reading
one. Register N of table T, counted from coil as 0, holds 31 * N + 7 * T, 16 bits of it; every third bit is
set. Its end is the end of standard input. register_map.c is the same with libmodbus.
"""

import asyncio
import json
import sys

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

NAMES = ["coil", "discrete", "input", "holding"]
TABLE_OF_FUNCTION = {1: 0, 2: 1, 3: 3, 4: 2}
PLACES = 65536


def record(**fact):
    print(json.dumps(fact), flush=True)


def places(text):
    name, _, ends = text.partition(":")
    first, _, last = ends.partition("-")
    return NAMES.index(name), range(int(first), int(last or first) + 1)


def block(table):
    if table < 2:
        values = [number % 3 == 0 for number in range(PLACES)]
        return [SimData(0, datatype=DataType.BITS, values=values)]
    values = [(31 * number + 7 * table) & 0xFFFF for number in range(PLACES)]
    return [SimData(0, datatype=DataType.REGISTERS, values=values)]


async def main():
    host, port, units, *texts = sys.argv[1:]
    served = [set(), set(), set(), set()]
    for table, numbers in map(places, texts):
        served[table].update(numbers)

    async def judge(function, start, address, count, cells, written):
        """pymodbus asks for this before it answers."""
        if function not in TABLE_OF_FUNCTION:
            record(wrote=function)
            return ExcCodes.ILLEGAL_FUNCTION
        table = TABLE_OF_FUNCTION[function]
        cell = 16 if table < 2 else 1
        first = address // cell * cell
        if served[table].issuperset(range(first, first + count * cell)):
            return None
        return ExcCodes.ILLEGAL_ADDRESS

    blocks = (block(0), block(1), block(3), block(2))
    devices = [SimDevice(id=int(unit), simdata=blocks, action=judge) for unit in units.split(",")]
    server = ModbusTcpServer(devices, address=(host, int(port)))
    await server.serve_forever(background=True)
    record(listening=server.transport.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.shutdown()


asyncio.run(main())
