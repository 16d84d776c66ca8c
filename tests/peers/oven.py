"""An oven with an OPC UA server of asyncua, which keeps its own record of what happened to it.

The record goes to standard output, a JSON object a line, times in microseconds since the epoch:

    {"listening": 40123}                         ready, and on which port
    {"tag": "count", "value": 17, "at": …}       the variable has this value from here on, and this source timestamp
    {"alarm": "Hot", "active": true, "severity": 700, "source": "Zone-2", "message": …, "at": …}
    {"held": true, "at": …}                      nothing changes from here on

Standard input takes commands, one a line; its end is the end of the oven, so that none outlives the test:

    hold          ends all changes
    unsubscribe   deletes all subscriptions, as an operator of the server can, and tells nobody
    mute          publishes nothing any more, while sessions and their requests go on
    add           makes the variable Late, if --without-late left it out or it was removed
    remove        deletes the variable Late
    judge         gives the variable Judged one quality after the other, with --types
    raise NAME SEVERITY SOURCE    an alarm becomes active
    change NAME SEVERITY          it is more or less severe, and says so
    clear NAME                    it is over
    lose          loses the next message of each subscription that has values, for good

With --history PAGE it keeps the history of Count, of which it tells so many values at a time, and with --secretive
it says that it does but does not tell.

Its namespace is urn:plant:oven, after so many others as --shift says. Variables by text: Count (a UInt32 that
counts), Temp (a Double that moves), Name (a String), Zones (an array of Doubles), Still (an Int32 that never
changes), Late, and T0, T1 … as --many says, which are all set at once. With --types also those of oven_types.py. With
--zones two zones stand below it, to be browsed.

The Server object tells of alarms, whose node is their name in that namespace, and tells of all that are active when
it is asked. With --without-events it has none, with --without-refresh it does not tell what is active.

With --secure it is spoken to only with a security, and lets in the user edge with the password hunter2, or nobody
in particular. With --user-certificate FILE.der it makes that and FILE.pem, its key, and lets in its holder, but
nobody in particular any more. With --ends-in DAYS its own certificate ends then, and
with --expired it ended yesterday.
"""

import argparse
import asyncio
import json
import logging
import pathlib
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone

from asyncua import Server, ua
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.common.utils import ServiceError
from asyncua.server.user_managers import User, UserManager, UserRole
from oven_types import Types

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

URI = "urn:plant:oven"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
STILL_SINCE = datetime(2026, 1, 1, tzinfo=timezone.utc)


def record(**fact):
    print(json.dumps(fact), flush=True)


def now():
    return datetime.now(timezone.utc)


def micros(time):
    return (time - EPOCH) // timedelta(microseconds=1)


def shorten(certificate, key, days):
    """Makes a certificate anew that ends in so many days, and is the same otherwise."""
    old = x509.load_der_x509_certificate(certificate.read_bytes())
    end = now() + timedelta(days=days)
    new = x509.CertificateBuilder(
        old.issuer, old.subject, old.public_key(), old.serial_number, end - timedelta(days=365), end,
        list(old.extensions),
    )
    signer = serialization.load_pem_private_key(key.read_bytes(), None)
    signed = new.sign(signer, hashes.SHA256())
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.DER))


def lose_next_message(subscription):
    """What comes after it has the number that comes after its."""
    pop = subscription._pop_publish_result

    def pop_and_lose():
        lost = pop()
        if not lost.NotificationMessage.NotificationData:
            return lost
        subscription._not_acknowledged_results.pop(lost.NotificationMessage.SequenceNumber)
        subscription._pop_publish_result = pop
        return pop()

    subscription._pop_publish_result = pop_and_lose


async def refuse_history(params):
    raise ServiceError(ua.StatusCodes.BadHistoryOperationUnsupported)


class Users(UserManager):
    def __init__(self, certificate):
        self.certificate = pathlib.Path(certificate).read_bytes() if certificate else None

    def get_user(self, iserver, username=None, password=None, certificate=None):
        if username == "edge" and password == "hunter2":
            return User(role=UserRole.User, name=username)
        if self.certificate and certificate == self.certificate:
            return User(role=UserRole.User, name="holder")
        if username is None and self.certificate is None:
            return User(role=UserRole.User, name="anybody")
        return None


class Oven:
    def __init__(self, options):
        self.options = options
        self.is_held = False
        self.variables = {}
        self.types = Types(self) if options.types else None
        self.alarms = {}

    async def run(self):
        if self.options.user_certificate:
            certificate = pathlib.Path(self.options.user_certificate)
            key = certificate.with_suffix(".pem")
            use, names = [ExtendedKeyUsageOID.CLIENT_AUTH], {"commonName": "edge"}
            await setup_self_signed_certificate(key, certificate, "urn:plant:edge", "edge", use, names)
        self.server = server = Server(user_manager=Users(self.options.user_certificate))
        server.iserver.bind_condition_methods = int(not self.options.without_refresh)
        await server.init()
        server.set_endpoint(f"opc.tcp://{self.options.host}:{self.options.port}/oven")
        await server.set_application_uri("urn:plant:oven-server")
        policies = [ua.SecurityPolicyType.NoSecurity]
        if self.options.secure:
            policies = [
                ua.SecurityPolicyType.Basic256Sha256_Sign,
                ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
                ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
                ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
            ]
            await self.certify()
        server.set_security_policy(policies)
        server.set_identity_tokens([
            ua.AnonymousIdentityToken, ua.UserNameIdentityToken, ua.X509IdentityToken
        ])
        for other in range(self.options.shift):
            await server.register_namespace(f"urn:plant:other-{other}")
        self.namespace = await server.register_namespace(URI)
        self.folder = await server.nodes.objects.add_object(self.namespace, "Oven")
        await self.furnish()
        async with server:
            if self.options.history:
                server.iserver.history_manager.storage.max_history_data_response_size = self.options.history
                await server.historize_node_data_change(self.variables["Count"], period=None, count=100_000)
            if self.options.secretive:
                server.iserver.history_manager.read_history = refuse_history
            port = server.bserver.port
            if port == 0:
                port = server.bserver._server.sockets[0].getsockname()[1]
            if self.options.without_events:
                none = ua.DataValue(ua.Variant(0, ua.VariantType.Byte))
                await server.write_attribute_value(ua.NodeId(ua.ObjectIds.Server), none, ua.AttributeIds.EventNotifier)
            record(listening=port)
            changes = asyncio.create_task(self.change())
            await self.obey()
            changes.cancel()

    async def certify(self):
        folder = pathlib.Path(self.options.certificates or tempfile.mkdtemp())
        await setup_self_signed_certificate(
            folder / "key.pem",
            folder / "cert.der",
            "urn:plant:oven-server",
            self.options.host,
            [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH],
            {"countryName": "DE", "organizationName": "plant", "commonName": "oven"},
        )
        if self.options.ends_in is not None:
            shorten(folder / "cert.der", folder / "key.pem", self.options.ends_in)
        await self.server.load_certificate(str(folder / "cert.der"))
        await self.server.load_private_key(str(folder / "key.pem"))

    async def furnish(self):
        add = self.add
        await add("Count", 0, ua.VariantType.UInt32)
        await add("Temp", 20.0, ua.VariantType.Double)
        await add("Name", "oven", ua.VariantType.String)
        await add("Zones", [20.0, 21.0, 22.0], ua.VariantType.Double)
        await add("Still", 7, ua.VariantType.Int32, STILL_SINCE)
        if not self.options.without_late:
            await add("Late", 1, ua.VariantType.Int32)
        for number in range(self.options.many):
            await add(f"T{number}", 0.0, ua.VariantType.Double)
        if self.types:
            await self.types.furnish()
        if self.options.zones:
            await self.divide()

    async def divide(self):
        """Two zones with the same names in them, what cannot be a tag, and a way back to where one came from."""
        celsius = ua.EUInformation()
        celsius.NamespaceUri = "http://www.opcfoundation.org/UA/units/un/cefact"
        celsius.UnitId = 4408652
        celsius.DisplayName = ua.LocalizedText("°C")
        for number in (1, 2):
            zone = await self.folder.add_object(ua.NodeId(f"Zone{number}", self.namespace), f"Zone {number}")
            node = ua.NodeId(f'"Zone{number}"."Temp"', self.namespace)
            temp = await zone.add_variable(node, "Temp", 800.0 + number, ua.VariantType.Double)
            await temp.add_property(0, "EngineeringUnits", celsius)
            secret = await zone.add_variable(ua.NodeId(f"Secret{number}", self.namespace), "Secret", 1)
            await secret.unset_attr_bit(ua.AttributeIds.UserAccessLevel, ua.AccessLevel.CurrentRead)
            await zone.add_variable(ua.NodeId(f"Range{number}", self.namespace), "Range", ua.Range(0, 9))
            await zone.add_method(ua.NodeId(f"Reset{number}", self.namespace), "Reset", lambda parent: [])
            await zone.add_reference(self.folder, ua.ObjectIds.Organizes)

    def tell(self, tag, value, at=None):
        record(tag=tag, value=value, at=micros(at or now()))

    async def add(self, name, value, kind, at=None):
        node = ua.NodeId(name, self.namespace)
        self.variables[name] = variable = await self.folder.add_variable(node, name, value, kind)
        await self.set(variable, name, value, kind, at)

    async def set(self, variable, name, value, kind, at=None):
        at = at or now()
        stamped = ua.DataValue(ua.Variant(value, kind), SourceTimestamp=at, ServerTimestamp=now())
        # First the record: whoever is killed in between must not have published what is not on it.
        self.tell(name.lower(), value, at)
        await self.server.write_attribute_value(variable.nodeid, stamped)

    async def alarm(self, name, severity=None, source=None, active=True):
        if name not in self.alarms:
            self.alarms[name] = await self.server.get_event_generator(ua.ObjectIds.OffNormalAlarmType)
            event = self.alarms[name].event
            event.NodeId, event.ConditionName = ua.NodeId(name, self.namespace), name
            event.add_property("EnabledState/Id", True, ua.VariantType.Boolean)
            event.add_property("ActiveState/Id", False, ua.VariantType.Boolean)
            event.add_property("ActiveState/TransitionTime", None, ua.VariantType.DateTime)
        at, event = now(), self.alarms[name].event
        if getattr(event, "ActiveState/Id") != active:
            setattr(event, "ActiveState/TransitionTime", at)
        setattr(event, "ActiveState/Id", active)
        event.Retain = active
        event.Severity = int(severity or event.Severity)
        event.SourceName = source or event.SourceName
        message = f"{name} is {'active' if active else 'over'} at {micros(at)}"
        record(alarm=name, active=active, severity=event.Severity, source=event.SourceName, message=message, at=micros(at))
        await self.alarms[name].trigger(at, message)

    async def change(self):
        count = 0
        while not self.is_held:
            await asyncio.sleep(self.options.period)
            count += 1
            await self.set(self.variables["Count"], "Count", count, ua.VariantType.UInt32)
            await self.set(self.variables["Temp"], "Temp", 20 + count / 8, ua.VariantType.Double)
            if self.types:
                await self.types.step(count)
            if self.options.many and count % 5 == 0:
                for number in range(self.options.many):
                    await self.set(self.variables[f"T{number}"], f"T{number}", float(count), ua.VariantType.Double)
        record(held=True, at=micros(now()))

    async def obey(self):
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        service = self.server.iserver.subscription_service
        while command := (await reader.readline()).decode().strip():
            word, *rest = command.split()
            if word in ("raise", "change"):
                await self.alarm(*rest)
            elif word == "clear":
                await self.alarm(*rest, active=False)
            elif command == "hold":
                self.is_held = True
            elif command == "unsubscribe":
                await service.delete_subscriptions(list(service.subscriptions))
            elif command == "mute":
                for subscription in service.subscriptions.values():
                    await subscription.stop()
            elif command == "lose":
                for subscription in service.subscriptions.values():
                    if subscription.pub_request_callback:  # Its history is a subscription of its own.
                        lose_next_message(subscription)
            elif command == "add":
                await self.add("Late", 2, ua.VariantType.Int32)
            elif command == "judge":
                await self.types.judge()
            elif command == "remove":
                # asyncua itself tells nobody that a node is gone (OPC 10000-4, section 5.13.2.1).
                late = self.variables.pop("Late")
                gone = ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown))
                await self.server.write_attribute_value(late.nodeid, gone)
                await self.server.delete_nodes([late])
            record(done=command)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--shift", type=int, default=0)
    parser.add_argument("--many", type=int, default=0)
    parser.add_argument("--period", type=float, default=0.02)
    parser.add_argument("--history", type=int, default=0)
    parser.add_argument("--secretive", action="store_true")
    parser.add_argument("--without-late", action="store_true")
    parser.add_argument("--types", action="store_true")
    parser.add_argument("--zones", action="store_true")
    parser.add_argument("--without-events", action="store_true")
    parser.add_argument("--without-refresh", action="store_true")
    parser.add_argument("--secure", action="store_true")
    parser.add_argument("--ends-in", type=int, metavar="DAYS")
    parser.add_argument("--expired", dest="ends_in", action="store_const", const=-1)
    parser.add_argument("--certificates")
    parser.add_argument("--user-certificate")
    logging.disable(logging.CRITICAL)
    asyncio.run(Oven(parser.parse_args()).run())


main()
