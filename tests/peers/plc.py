"""A press with a Modbus server of pymodbus, over TCP or on a serial line that is two pseudo-terminals, which keeps its own record of what happened to it.

The record goes to standard output, a JSON object a line, times in microseconds since the epoch:

    {"listening": 40123}                         ready, and on which port; with --serial, "/dev/pts/7"
    {"good": 17, "at": 1767225600000250}         the counter of good pieces stands at 17 from here on
    {"scrap": 65535, "at": …}                    the counter of scrap; 16 bits, so 0 comes after 65535
    {"state": 2, "at": …}                        the state from here on
    {"held": true, "at": …}                      nothing changes from here on

Standard input takes commands, one a line: `hold` stops all changes. Its end is the end of the press, so
that none outlives the test that started it.

Registers: holding 100 the state; holding 102 good pieces, 32 bits, low word first; holding 104 scrap;
holding 110 a name of 8 characters; input 10 a temperature, 32-bit float; input 20 how often the inputs
were read, this time included; coil 3 and discrete input 7 whether the state is 2.

A state lasts until it was read three times at least, so whoever reads in order can know them all.
"""

import argparse
import asyncio
import json
import os
import random
import struct
import sys
import time
import tty

from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

READ_COILS, READ_HOLDING, READ_INPUTS = 1, 3, 4
STATE, GOOD, SCRAP, NAME = 100, 102, 104, 110
TEMPERATURE, READS = 10, 20
ALARM_COIL, ALARM_INPUT = 3, 7
FAULTED = 2
STATES = (0, 1, FAULTED)
READS_PER_STATE = 3
PAUSE_S = (0.002, 0.04)
SCRAP_PART = 0.1
BAUD = 115200
UNIT = 1


def record(**fact):
    print(json.dumps(fact), flush=True)


def now_us():
    return time.time_ns() // 1000


def words(value):
    return [value >> 16, value & 0xFFFF]


def float_words(value):
    return list(struct.unpack(">HH", struct.pack(">f", value)))


class Press:
    def __init__(self, options):
        self.random = random.Random(options.seed)
        self.good = options.good
        self.scrap = options.scrap
        self.last_good = options.last_good
        self.state = 1
        self.reads_of_state = 0
        self.reads_of_inputs = 0
        self.held = options.held
        record(good=self.good, at=now_us())
        record(scrap=self.scrap, at=now_us())
        record(state=self.state, at=now_us())

    async def produce(self):
        while not self.held and self.good < self.last_good:
            await asyncio.sleep(self.random.uniform(*PAUSE_S))
            if self.held:
                return
            self.good = min(self.good + self.random.randint(1, 3), self.last_good)
            record(good=self.good, at=now_us())
            if self.random.random() < SCRAP_PART:
                self.scrap = (self.scrap + 1) & 0xFFFF
                record(scrap=self.scrap, at=now_us())

    def hold(self):
        self.held = True
        record(held=True, at=now_us())

    async def serve(self, function, start, address, count, cells, written):
        """pymodbus asks for this before it reads `cells`, whose first one has the address `start`."""
        if written is None:
            asked = range(address, address + count)
            for at, values in self.image(function, asked):
                cells[at - start : at - start + len(values)] = values

    def image(self, function, asked):
        if function == READ_HOLDING:
            self.another_state(asked)
            good = words(self.good)[::-1]
            name = [0x5072, 0x6573, 0x7320, 0x4100]  # "Press A" and a NUL
            return [(STATE, [self.state]), (GOOD, good), (SCRAP, [self.scrap]), (NAME, name)]
        if function == READ_INPUTS:
            self.reads_of_inputs += READS in asked
            temperature = 20.0 + (self.reads_of_inputs % 64) / 4
            return [(TEMPERATURE, float_words(temperature)), (READS, words(self.reads_of_inputs))]
        # Bits are kept sixteen to a cell, the first one in the lowest place.
        faulted = int(self.state == FAULTED)
        return [(0, [faulted << (ALARM_COIL if function == READ_COILS else ALARM_INPUT)])]

    def another_state(self, asked):
        if STATE not in asked:
            return
        if self.reads_of_state >= READS_PER_STATE and not self.held and self.random.random() < 0.5:
            self.state = self.random.choice([state for state in STATES if state != self.state])
            self.reads_of_state = 0
            record(state=self.state, at=now_us())
        self.reads_of_state += 1


async def obey(press):
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        if line.strip() == b"hold":
            press.hold()
        else:
            sys.exit(f"plc.py: {line!r} is no command")


def serial_line():
    """The names of the two ends of a line; what is written to one is read at the other."""
    ends = [os.openpty() for _ in range(2)]
    loop = asyncio.get_running_loop()
    for (this, terminal), (other, _) in (ends, ends[::-1]):
        # The terminal stays open here, so that the line is there while nobody has it open.
        tty.setraw(terminal)
        loop.add_reader(this, lambda this=this, other=other: os.write(other, os.read(this, 4096)))
    return [os.ttyname(terminal) for _, terminal in ends]


async def serve_serial(device):
    ours, theirs = serial_line()
    # A server that is alone on its line answers for units that are not there: with an exception.
    only_ours = lambda sending, frame: frame if not sending or frame[0] == UNIT else b""
    server = ModbusSerialServer(device, port=ours, baudrate=BAUD, trace_packet=only_ours)
    await server.serve_forever(background=True)
    record(listening=theirs)
    return server


async def serve_tcp(device, host, port):
    server = ModbusTcpServer(device, address=(host, port))
    await server.serve_forever(background=True)
    record(listening=server.transport.sockets[0].getsockname()[1])
    return server


async def main():
    parser = argparse.ArgumentParser()
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--host")
    place.add_argument("--serial", action="store_true", help="answer unit 1 on a serial line, and no other")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--good", type=int, default=0, help="where the counter of good pieces stands")
    parser.add_argument("--scrap", type=int, default=0, help="where the counter of scrap stands")
    parser.add_argument("--last-good", type=int, default=0xFFFFFFFF, help="where good pieces end")
    parser.add_argument("--held", action="store_true", help="nothing changes from the start")
    options = parser.parse_args()

    press = Press(options)
    registers = [SimData(0, datatype=DataType.REGISTERS, values=[0] * 200)]
    bits = [SimData(0, datatype=DataType.BITS, values=[False] * 64)]
    device = SimDevice(id=UNIT, simdata=(bits, bits, registers, registers), action=press.serve)
    if options.serial:
        server = await serve_serial(device)
    else:
        server = await serve_tcp(device, options.host, options.port)

    producing = asyncio.create_task(press.produce())
    await obey(press)
    producing.cancel()
    await server.shutdown()


asyncio.run(main())
