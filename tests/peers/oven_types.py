"""The types of the oven: a structure that changes, a variable of each built-in type, and values of every quality.

The record is the oven's, and names fields and variables of built-in types as one would write their tags: a value is
what an event should say of it, written down here and not taken from any client.

    Status   a structure: Mode (an enumeration), Zones (structures with Temp and, on and off, Limit), Main (one of
             these), Note; recorded as status.mode, status.zones[1].temp, status.zones[1].limit, status.main.temp
    Result   a union of Code and Text
    Board    an array of two of the structures of Zones
    Grid     Int16 in two rows of three
    Legacy   a structure of a type that the server does not define
    Boolean … LocalizedText, and Booleans … with two values each, of which the second is recorded
    Judged   a Double that gets one quality after the other with `judge`; recorded with its status
    Timed, Served   Doubles with a time of the source, and with one of the server alone
"""

import asyncio
import base64
import uuid
from datetime import datetime, timezone

from asyncua import ua
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field

SOURCE_TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
SERVER_TIME = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=timezone.utc)

GUIDS = [uuid.UUID("09087e75-8e5e-499b-954f-f2a9603db28a"), uuid.UUID("72962b91-fa75-4ae6-8d28-b404dc7daf63")]
TIMES = [SOURCE_TIME, SERVER_TIME]

# Two values of each type, and what an event says of the two.
BUILT_IN = {
    "Boolean": ([True, False], [True, False]),
    "SByte": ([-128, 127], [-128, 127]),
    "Byte": ([0, 255], [0, 255]),
    "Int16": ([-32768, 32767], [-32768, 32767]),
    "UInt16": ([1, 65535], [1, 65535]),
    "Int32": ([-(2**31), 2**31 - 1], [-(2**31), 2**31 - 1]),
    "UInt32": ([2, 2**32 - 1], [2, 2**32 - 1]),
    "Int64": ([-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1]),
    "UInt64": ([3, 2**64 - 1], [3, 2**64 - 1]),
    "Float": ([0.5, -1.25], [0.5, -1.25]),
    "Double": ([0.1, 1e300], [0.1, 1e300]),
    "String": (["Ofen", "größer"], ["Ofen", "größer"]),
    "DateTime": (TIMES, ["2026-01-02T03:04:05.678901Z", "2026-02-03T04:05:06.789012Z"]),
    "Guid": (GUIDS, [str(guid) for guid in GUIDS]),
    "ByteString": ([b"\x00\xff", b"penstock"], [base64.b64encode(b).decode() for b in (b"\x00\xff", b"penstock")]),
    "XmlElement": ([ua.XmlElement("<a/>"), ua.XmlElement("<b>1</b>")], ["<a/>", "<b>1</b>"]),
    "NodeId": ([ua.NodeId("Temp", 2), ua.NodeId(2258, 0)], ["ns=2;s=Temp", "i=2258"]),
    "ExpandedNodeId": (
        [ua.ExpandedNodeId("Temp", 2), ua.ExpandedNodeId(7, 0, NamespaceUri="urn:a")],
        ["ns=2;s=Temp", "nsu=urn:a;i=7"],
    ),
    "StatusCode": ([ua.StatusCode(0), ua.StatusCode(0x80340000)], [0, 0x80340000]),
    "QualifiedName": ([ua.QualifiedName("Temp", 2), ua.QualifiedName("Temp", 0)], ["2:Temp", "Temp"]),
    "LocalizedText": ([ua.LocalizedText("Ofen", "de"), ua.LocalizedText("oven", "en")], ["Ofen", "oven"]),
}

# Good, by itself and with bits that say how; uncertain and bad, each among good ones.
QUALITIES = [
    0, 0x00960000, 0x00000480, 0x40900000, 0, 0x40950400, 0, 0x808C0000, 0, 0x80310000, 0, 0x80AB0402, 0,
]


class Types:
    """What an oven has besides its plain variables."""

    def __init__(self, oven):
        self.oven = oven

    async def furnish(self):
        await self.define()
        for name, (values, said) in BUILT_IN.items():
            kind = ua.VariantType[name]
            await self.add(name, ua.Variant(values[0], kind))
            self.oven.tell(name.lower(), said[0])
            await self.add(f"{name}s", ua.Variant(values, kind))
            self.oven.tell(f"{name.lower()}s", said[1])
        grid = ua.Variant([[1, 2, 3], [4, 5, 6]], ua.VariantType.Int16, is_array=True)
        await self.add("Grid", grid)
        await self.add("Timed", ua.Variant(1.0), SourceTimestamp=SOURCE_TIME, SourcePicoseconds=9999)
        await self.add("Served", ua.Variant(2.0), SourceTimestamp=None, ServerTimestamp=SERVER_TIME)
        await self.add("Judged", ua.Variant(-1.0))
        await self.step(0)

    async def define(self):
        server, namespace = self.oven.server, self.oven.namespace
        mode = await new_enum(server, namespace, "OvenMode", ["Off", "Heating", "Holding"])
        zone, _ = await new_struct(server, namespace, "ZoneStatus", [
            new_struct_field("Temp", ua.VariantType.Double),
            new_struct_field("Limit", ua.VariantType.Double, optional=True),
        ])
        await new_struct(server, namespace, "OvenStatus", [
            new_struct_field("Mode", mode),
            new_struct_field("Zones", zone, array=True),
            new_struct_field("Main", zone),
            new_struct_field("Note", ua.VariantType.String),
        ])
        await new_struct(server, namespace, "OvenResult", [
            new_struct_field("Code", ua.VariantType.Int32),
            new_struct_field("Text", ua.VariantType.String),
        ], is_union=True)
        legacy, _ = await new_struct(server, namespace, "LegacyStatus", [
            new_struct_field("Temp", ua.VariantType.Double),
        ])
        await server.load_data_type_definitions()
        attributes = server.iserver.aspace[legacy.nodeid].attributes
        del attributes[ua.AttributeIds.DataTypeDefinition]
        await self.add("Legacy", ua.Variant(ua.LegacyStatus(Temp=1.0)))
        await self.add("Board", ua.Variant([ua.ZoneStatus(Temp=31.0), ua.ZoneStatus(Temp=32.0, Limit=99.0)]))
        result = ua.OvenResult()
        result.Text = "done"
        await self.add("Result", ua.Variant(result))
        await self.add("Status", ua.Variant(self.status(0)))

    def status(self, count):
        zones = [ua.ZoneStatus(Temp=20.0 + count + at / 4) for at in range(3)]
        # A field that is there and gone again moves those behind it.
        if count % 2:
            zones[1].Limit = 100.0 + count
        status = ua.OvenStatus(Mode=ua.OvenMode(count % 3), Zones=zones, Main=ua.ZoneStatus(Temp=count / 8))
        status.Note = "é" * (count % 5)
        return status

    async def add(self, name, variant, **stamps):
        node = ua.NodeId(name, self.oven.namespace)
        await self.oven.folder.add_variable(node, name, variant)
        await self.write(name, variant, **stamps)

    async def write(self, name, variant, **stamps):
        now = datetime.now(timezone.utc)
        stamped = ua.DataValue(variant, **{"SourceTimestamp": now, "ServerTimestamp": now, **stamps})
        await self.oven.server.write_attribute_value(ua.NodeId(name, self.oven.namespace), stamped)

    async def step(self, count):
        at = datetime.now(timezone.utc)
        status = self.status(count)
        self.oven.tell("status.mode", int(status.Mode), at)
        self.oven.tell("status.main.temp", status.Main.Temp, at)
        self.oven.tell("status.zones[1].temp", status.Zones[1].Temp, at)
        if status.Zones[1].Limit is not None:
            self.oven.tell("status.zones[1].limit", status.Zones[1].Limit, at)
        self.oven.tell("status.note", status.Note, at)
        await self.write("Status", ua.Variant(status), SourceTimestamp=at)

    async def judge(self):
        for number, code in enumerate(QUALITIES):
            at = datetime.now(timezone.utc)
            value = ua.Variant(float(number))
            self.oven.tell("judged", {"value": float(number), "code": code}, at)
            await self.write("Judged", value, StatusCode=ua.StatusCode(code), SourceTimestamp=at)
            await asyncio.sleep(0.02)
