#!/bin/sh
# Installs the third-party peers that the tests talk to: what is missing, and nothing else.
#
# From Debian: the broker mosquitto and its clients, python3 with venv, systemd-analyze, libmodbus, a C compiler, Node.js with npm, and faketime.
# From PyPI, into target/peers/venv: requirements.txt beside this file. From npm, into target/peers/node: package-lock.json
# beside this file. The tests start every peer themselves, on free loopback ports.
# Debian starts its own mosquitto on 127.0.0.1:1883 where systemd runs: they neither use nor disturb it.
# Whoever may not install gets the list of what to install instead, and exit status 1.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
peers=$here/../../target/peers
venv=$peers/venv
wanted=$here/requirements.txt
node=$peers/node
locked=$here/package-lock.json
# Debian keeps daemons out of an ordinary user's PATH; the tests look there too.
PATH=$PATH:/usr/sbin:/sbin

has() { command -v "$1" >/dev/null 2>&1; }

missing_packages() {
    has mosquitto || echo mosquitto
    has mosquitto_sub || echo mosquitto-clients
    has systemd-analyze || echo systemd
    has cc || echo gcc libc6-dev
    has pkg-config || echo pkg-config
    has pkg-config && pkg-config --exists libmodbus || echo libmodbus-dev
    has python3 || echo python3
    has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    has node || echo nodejs
    has npm || echo npm
    has faketime || echo faketime
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    has apt-get && { [ "$(id -u)" = 0 ] || { has sudo && sudo -n true 2>/dev/null; }; }
}

install_packages() {
    echo "peers: installing from Debian:" "$@"
    as_root apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$@" >/dev/null
}

say_what_is_missing() {
    echo "peers: the tests need what this machine does not have, and this user may not install it."
    echo "peers: on Debian, let an administrator run:"
    echo "    apt-get install" "$@"
    echo "peers: elsewhere: the mosquitto broker and its clients, Python 3.10 or later with venv, Node.js 18 or later with npm, systemd-analyze, a C compiler, pkg-config and libmodbus with its headers, in PATH."
    echo "peers: then run this again."
}

# The copy of the requirements inside the environment is its receipt: it is written last.
venv_is_ready() {
    "$venv/bin/python" -c '' 2>/dev/null && cmp -s "$wanted" "$venv/requirements.txt"
}

make_venv() {
    echo "peers: installing from PyPI into target/peers/venv:" $(cat "$wanted")
    rm -rf "$venv"
    mkdir -p "$peers"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip --quiet --disable-pip-version-check install --requirement "$wanted" || {
        echo "peers: PyPI could not be reached or refused; target/peers/venv needs:" $(cat "$wanted") >&2
        exit 1
    }
    cp "$wanted" "$venv/requirements.txt"
}

node_is_ready() {
    cmp -s "$locked" "$node/installed.json"
}

# The lock says which version of each package, and what is in it.
make_node() {
    node -e 'process.exit(process.versions.node.split(".")[0] < 18 ? 1 : 0)' || {
        echo "peers: node-opcua needs Node.js 18 or later, and $(command -v node) is $(node --version)" >&2
        exit 1
    }
    echo "peers: installing node-opcua from npm into target/peers/node"
    rm -rf "$node"
    mkdir -p "$node"
    cp "$here/package.json" "$locked" "$node"
    (cd "$node" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null) || {
        echo "peers: npm could not be reached or refused; target/peers/node needs what tests/peers/package-lock.json lists" >&2
        exit 1
    }
    cp "$locked" "$node/installed.json"
}

packages=$(missing_packages)
if [ -n "$packages" ]; then
    # Word splitting is meant: one name a line.
    if may_install; then
        install_packages $packages
    else
        say_what_is_missing $packages >&2
        exit 1
    fi
fi
venv_is_ready || make_venv
node_is_ready || make_node
