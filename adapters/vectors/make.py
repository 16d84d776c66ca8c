#!/usr/bin/env python3
"""Prints types.tsv: what registers hold a value of each type, computed with struct and not with our decoder.

The same numbers come out every time: `make.py > types.tsv`, and a test insists. Columns: place, type, order,
bytes, bits, scale, offset, registers in hex, and what must be read: a kind and the value (of a float the 64
bits, of a text the UTF-8 bytes, both in hex), or `bad` and the cause.
"""

import math
import random
import struct

ORDERS = ["ABCD", "CDAB", "BADC", "DCBA"]
random.seed(20260)
rows = []


def add(kind, words, expected, at="holding:0", order="", size="", bits="", scale="", offset=""):
    options = [str(option) for option in (order, size, bits, scale, offset)]
    rows.append([at, kind, *options, " ".join(f"{w:04x}" for w in words), expected])


def words(big_endian, order):
    """Registers of a value whose bytes are most significant first, on a device with this order."""
    pairs = [big_endian[i : i + 2] for i in range(0, len(big_endian), 2)]
    if order in ("CDAB", "DCBA"):
        pairs.reverse()
    if order in ("BADC", "DCBA"):
        pairs = [pair[::-1] for pair in pairs]
    return [struct.unpack(">H", pair)[0] for pair in pairs]


def double(value):
    return struct.pack(">d", value).hex()


def integers():
    for kind, code, low, high in [
        ("u16", "H", 0, 2**16 - 1),
        ("i16", "h", -(2**15), 2**15 - 1),
        ("u32", "I", 0, 2**32 - 1),
        ("i32", "i", -(2**31), 2**31 - 1),
        ("u64", "Q", 0, 2**64 - 1),
        ("i64", "q", -(2**63), 2**63 - 1),
    ]:
        word = "uint" if low == 0 else "int"
        for order in ORDERS if code not in "Hh" else [""]:
            values = [low, high, 1, 0x1234] + [random.randint(low, high) for _ in range(4)]
            values += [] if low == 0 else [-1, -2]
            for value in values:
                add(kind, words(struct.pack(">" + code, value), order), f"{word} {value}", order=order)


def floats():
    numbers = [0.0, -0.0, 1.0, -1.5, 3.4e38, 1e-40, 71.3]
    for kind, code in [("f32", "f"), ("f64", "d")]:
        for order in ORDERS:
            for value in numbers + [random.uniform(-1e6, 1e6) for _ in range(3)]:
                packed = struct.pack(">" + code, value)
                read = struct.unpack(">" + code, packed)[0]
                add(kind, words(packed, order), "float " + double(read), order=order)
            for value in [math.nan, math.inf, -math.inf]:
                add(kind, words(struct.pack(">" + code, value), order), "bad not-finite", order=order)


def decimals():
    for kind, digits in [("bcd16", 4), ("bcd32", 8)]:
        for order in ORDERS if digits == 8 else [""]:
            for value in [0, 10**digits - 1, 1234] + [random.randrange(10**digits) for _ in range(4)]:
                packed = bytes.fromhex(str(value).zfill(digits))
                add(kind, words(packed, order), f"uint {value}", order=order)
            for nibbles in ["a".zfill(digits), "f" * digits, "b".ljust(digits, "0")]:
                add(kind, words(bytes.fromhex(nibbles), order), "bad not-bcd", order=order)


def fields():
    for bit in range(16):
        word = random.getrandbits(16)
        digits = format(word, "016b")[::-1]
        add("bool", [word], "bool true" if digits[bit] == "1" else "bool false", at=f"input:0.{bit}")
    for _ in range(40):
        count = random.randint(1, 16)
        bit = random.randint(0, 16 - count)
        word = random.getrandbits(16)
        digits = format(word, "016b")[::-1][bit : bit + count][::-1]
        add("bits", [word], f"uint {int(digits, 2)}", at=f"holding:0.{bit}", bits=count)


def texts():
    for order in ["", "ABCD", "BADC"]:
        for text in ["", "A", "AB", "Part 4711", "Größe 5 µm", "x" * 31]:
            for padding in [b"\0", b" "]:
                encoded = text.encode()
                size = len(encoded) + random.randint(1, 6)
                packed = encoded.ljust(size, padding)
                packed += b"?" * (size % 2)
                add("string", words(packed, order), "text " + encoded.hex(), order=order, size=size)
        add("string", words(b"OK\0LD!", order), "text " + b"OK".hex(), order=order, size=6)
        add("string", words(b"\xff\xfe", order), "bad not-text", order=order, size=2)


def scaled():
    """A raw number becomes raw * scale + offset, in double precision and in this order."""
    for kind, code, low, high in [
        ("u16", "H", 0, 2**16 - 1),
        ("i16", "h", -(2**15), 2**15 - 1),
        ("i32", "i", -(2**31), 2**31 - 1),
        ("u64", "Q", 0, 2**64 - 1),
    ]:
        for scale, offset in [(0.1, ""), (0.01, -40), ("", 273.15), (-2.5, 1e6)]:
            for raw in [low, high, random.randint(low, high)]:
                order = "" if code in "Hh" else random.choice(ORDERS)
                read = raw * (scale or 1.0) + (offset or 0.0)
                add(
                    kind,
                    words(struct.pack(">" + code, raw), order),
                    "float " + double(read),
                    order=order,
                    scale=scale,
                    offset=offset,
                )
    for order in ORDERS:
        raw = struct.unpack(">f", struct.pack(">f", 71.3))[0]
        read = raw * 0.1 + 0.5
        add("f32", words(struct.pack(">f", raw), order), "float " + double(read), order=order, scale=0.1, offset=0.5)
        add("bcd32", words(bytes.fromhex("00012345"), order), "float " + double(12345 * 0.1), order=order, scale=0.1)
    add("bits", [0x0F50], "float " + double(5 * 0.5), at="holding:0.4", bits=4, scale=0.5)
    add("f64", words(struct.pack(">d", 1e308), "ABCD"), "bad not-finite", scale=1000.0)


integers()
floats()
decimals()
fields()
texts()
scaled()
print("\n".join("\t".join(row) for row in rows))
