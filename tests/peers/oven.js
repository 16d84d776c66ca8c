// The oven of oven.py with another OPC UA server under it, node-opcua: the same options, commands, variables and
// record, so that a scenario need not know which of the two it plays with. What they mean is told there.
//
// Only here: --items-per-call N and --reads-per-call N are limits that it keeps and tells, or with --untold keeps only.
// Each call that it refuses for them is on the record: {"refused": true}.

"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const readline = require("node:readline");
const { parseArgs } = require("node:util");

// What the library has to say goes to standard error: standard output is the record.
console.log = console.error;
// Node 18, which Debian 12 has, keeps it in a module; the library looks for it where later ones have it.
globalThis.crypto ??= require("node:crypto").webcrypto;

const {
    DataType,
    MessageSecurityMode,
    OPCUACertificateManager,
    OPCUAServer,
    SecurityPolicy,
    StatusCodes,
    VariantArrayType,
} = require("node-opcua");

const URI = "urn:plant:oven";
const STILL_SINCE = new Date("2026-01-01T00:00:00Z");
const DAY_MS = 24 * 3600 * 1000;

const options = parseArgs({
    options: {
        host: { type: "string", default: "127.0.0.1" },
        port: { type: "string", default: "0" },
        shift: { type: "string", default: "0" },
        many: { type: "string", default: "0" },
        period: { type: "string", default: "0.02" },
        "without-late": { type: "boolean", default: false },
        secure: { type: "boolean", default: false },
        expired: { type: "boolean", default: false },
        certificates: { type: "string" },
        "user-certificate": { type: "string" },
        "items-per-call": { type: "string", default: "0" },
        "reads-per-call": { type: "string", default: "0" },
        untold: { type: "boolean", default: false },
    },
}).values;

const limits = {
    maxMonitoredItemsPerCall: Number(options["items-per-call"]),
    maxNodesPerRead: Number(options["reads-per-call"]),
};

function record(fact) {
    process.stdout.write(`${JSON.stringify(fact)}\n`);
}

const micros = (time) => time.getTime() * 1000;

/// A place for keys and certificates that accepts every client, as one that was commissioned does.
async function certificates(folder) {
    const manager = new OPCUACertificateManager({
        rootFolder: folder,
        automaticallyAcceptUnknownCertificate: true,
        disableFileWatchers: true,
    });
    await manager.initialize();
    return manager;
}

/// Makes a certificate for the key of `manager` that is good for a year, or ended yesterday.
async function certify(manager, file, applicationUri, name) {
    await manager.createSelfSignedCertificate({
        outputFile: file,
        subject: `/C=DE/O=plant/CN=${name}`,
        applicationUri,
        dns: [],
        ip: [options.host],
        startDate: new Date(Date.now() - 365 * DAY_MS),
        validity: options.expired ? 364 : 2 * 365,
    });
}

/// The users' certificates: that of the one user whom --user-certificate makes is trusted.
async function users(folder) {
    const manager = await certificates(path.join(folder, "users"));
    const file = options["user-certificate"];
    if (file) {
        const pem = path.join(folder, "user-certificate.pem");
        await certify(manager, pem, "urn:plant:edge", "edge");
        const der = Buffer.from(fs.readFileSync(pem, "latin1").replace(/-----[^-]+-----|\s/g, ""), "base64");
        fs.writeFileSync(file, der);
        fs.copyFileSync(manager.privateKey, file.replace(/\.der$/, ".pem"));
        await manager.trustCertificate(der);
    }
    return manager;
}

class Oven {
    isHeld = false;
    variables = new Map();

    async run() {
        const folder = options.certificates ?? fs.mkdtempSync(path.join(os.tmpdir(), "oven-"));
        const manager = await certificates(path.join(folder, "server"));
        const certificateFile = path.join(folder, "server-certificate.pem");
        await certify(manager, certificateFile, "urn:plant:oven-server", "oven");
        this.server = new OPCUAServer({
            ...this.access(),
            host: options.host,
            hostname: options.host,
            port: Number(options.port),
            resourcePath: "/oven",
            serverInfo: { applicationUri: "urn:plant:oven-server" },
            certificateFile,
            privateKeyFile: manager.privateKey,
            serverCertificateManager: manager,
            userCertificateManager: await users(folder),
            serverCapabilities: {
                // Every change is reported, not only the last of 50 ms.
                minSupportedSampleRate: 0,
                maxMonitoredItems: 100_000,
                maxMonitoredItemsPerSubscription: 100_000,
                // What is not limited is not told either.
                operationLimits: options.untold ? { maxMonitoredItemsPerCall: 0, maxNodesPerRead: 0 } : limits,
            },
        });
        await this.server.initialize();
        this.furnish();
        await this.server.start();
        this.keepLimits();
        record({ listening: this.server.endpoints[0].port });
        const changes = setInterval(() => this.change(), Number(options.period) * 1000);
        await this.obey();
        clearInterval(changes);
        process.exit(0);
    }

    access() {
        const isAnybody = !options["user-certificate"];
        const userManager = { isValidUser: (name, password) => name === "edge" && password === "hunter2" };
        return options.secure
            ? {
                  securityModes: [MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
                  securityPolicies: [
                      SecurityPolicy.Basic256Sha256,
                      SecurityPolicy.Aes128_Sha256_RsaOaep,
                      SecurityPolicy.Aes256_Sha256_RsaPss,
                  ],
                  allowAnonymous: isAnybody,
                  userManager,
              }
            : {
                  securityModes: [MessageSecurityMode.None],
                  securityPolicies: [SecurityPolicy.None],
                  userManager,
              };
    }

    /// The server tells limits when it starts, and keeps those that it has from here on.
    keepLimits() {
        Object.assign(this.server.engine.serverCapabilities.operationLimits, limits);
        this.server.on("response", (response) => {
            if (response.responseHeader.serviceResult.equals(StatusCodes.BadTooManyOperations)) {
                record({ refused: true });
            }
        });
    }

    furnish() {
        const space = this.server.engine.addressSpace;
        for (let other = 0; other < Number(options.shift); other++) {
            space.registerNamespace(`urn:plant:other-${other}`);
        }
        this.namespace = space.registerNamespace(URI);
        this.folder = this.namespace.addObject({ organizedBy: space.rootFolder.objects, browseName: "Oven" });
        this.add("Count", 0, DataType.UInt32);
        this.add("Temp", 20, DataType.Double);
        this.add("Name", "oven", DataType.String);
        this.add("Zones", [20, 21, 22], DataType.Double);
        this.add("Still", 7, DataType.Int32, STILL_SINCE);
        if (!options["without-late"]) {
            this.add("Late", 1, DataType.Int32);
        }
        for (let number = 0; number < Number(options.many); number++) {
            this.add(`T${number}`, 0, DataType.Double);
        }
    }

    add(name, value, dataType, at) {
        const isArray = Array.isArray(value);
        const variable = this.namespace.addVariable({
            componentOf: this.folder,
            nodeId: `s=${name}`,
            browseName: name,
            dataType,
            valueRank: isArray ? 1 : -1,
            arrayDimensions: isArray ? [value.length] : null,
            minimumSamplingInterval: 0,
        });
        this.variables.set(name, { variable, dataType });
        this.set(name, value, at);
    }

    set(name, value, at = new Date()) {
        const { variable, dataType } = this.variables.get(name);
        const arrayType = Array.isArray(value) ? VariantArrayType.Array : VariantArrayType.Scalar;
        record({ tag: name.toLowerCase(), value, at: micros(at) });
        variable.setValueFromSource({ dataType, arrayType, value }, StatusCodes.Good, at);
    }

    change() {
        // Two values of one time would be one entry of the record for whoever looks a value up by its time.
        const at = new Date();
        if (this.isHeld || at.getTime() === this.changedAt?.getTime()) {
            return;
        }
        this.changedAt = at;
        const count = (this.count = (this.count ?? 0) + 1);
        this.set("Count", count, at);
        this.set("Temp", 20 + count / 8, at);
        if (count % 5 === 0) {
            for (let number = 0; number < Number(options.many); number++) {
                this.set(`T${number}`, count, at);
            }
        }
    }

    subscriptions() {
        return this.server.engine.getSessions().flatMap((session) => session.publishEngine.subscriptions);
    }

    async obey() {
        for await (const line of readline.createInterface({ input: process.stdin })) {
            const command = line.trim();
            if (command === "hold") {
                this.isHeld = true;
                record({ held: true, at: micros(new Date()) });
            } else if (command === "unsubscribe") {
                for (const subscription of this.subscriptions()) {
                    subscription.terminate();
                }
            } else if (command === "mute") {
                for (const subscription of this.subscriptions()) {
                    subscription.process_subscription = () => {};
                    subscription._stop_timer();
                }
            } else if (command === "add") {
                this.add("Late", 2, DataType.Int32);
            } else if (command === "remove") {
                this.server.engine.addressSpace.deleteNode(this.variables.get("Late").variable);
            }
            record({ done: command });
        }
    }
}

new Oven().run().catch((error) => {
    console.error(error);
    process.exit(1);
});
