#!/usr/bin/env bash
# The release binary as a service, in a booted Debian: installed by the very lines of README.md, started,
# killed, frozen and stopped by a real systemd. What the unit promises is looked at, not read.
#
#     tests/systemd/boot.sh DIRECTORY      with `penstock` and `penstock-plant`, such as target/release
#
# It takes root, debootstrap and systemd-nspawn; without them it says so and ends with 0. The first run
# makes a Debian in target/boot/root (250 MB); nothing is ever written to it after that, since each boot has its
# own overlay in memory. The container has a loopback interface of its own and no other.
set -Eeuo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
binaries=$(cd "${1:?usage: boot.sh DIRECTORY}" && pwd)
root=$repository/target/boot/root
console=$repository/target/boot/console.log
# Short, so that a frozen gateway is seen in seconds. The unit's own is 30 s.
watchdog_s=3

skip() { echo "boot: skipped: $*"; exit 0; }
fail() {
    echo "boot: FAILED: $*" >&2
    if [ -n "${leader:-}" ]; then
        in_box journalctl --no-pager --lines=40 --unit=penstock >&2 || true
    fi
    exit 1
}
saw() { echo "boot: ok: $*"; }
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

[ "$(id -u)" = 0 ] || skip "booting a container takes root"
for program in debootstrap systemd-nspawn nsenter; do
    command -v "$program" >/dev/null || skip "$program is missing: apt-get install debootstrap systemd-container util-linux"
done
for binary in penstock penstock-plant; do
    [ -x "$binaries/$binary" ] || fail "$binaries/$binary is missing: cargo build --release --workspace"
done

# Waits until a condition holds: `until_ok WHAT COMMAND…`.
until_ok() {
    local what=$1 deadline=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || fail "waited 60 s for $what"
        sleep 0.1
    done
}

in_box() { nsenter --target "$leader" --all --wdns=/src "$@"; }
property() { in_box systemctl show penstock --property="$1" --value; }
is() { [ "$(property "$1")" = "$2" ]; }
is_not() { [ "$(property "$1")" != "$2" ]; }
restarts_reach() { [ "$(property NRestarts)" -ge "$1" ]; }
status_says() { in_box penstock status | grep --quiet "$1"; }
delivers() { status_says '^  enterprise .*online' && status_says '^    business  *[1-9][0-9]* delivered  *0 waiting'; }

make_root() {
    if [ ! -e "$root/complete" ]; then
        echo "boot: making a Debian in target/boot/root"
        rm -rf "$root"
        mkdir -p "$root"
        # The suite of this machine: the binary is linked against its glibc.
        debootstrap --variant=minbase --include=systemd,dbus "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" \
            >"$repository/target/boot/debootstrap.log" 2>&1 || fail "debootstrap; see target/boot/debootstrap.log"
        touch "$root/complete"
    fi
}

boot() {
    systemd-nspawn --quiet --boot --directory="$root" --volatile=overlay --register=no --keep-unit --private-network \
        --machine="penstock-boot-$$" --console=pipe --bind-ro="$repository:/src" --bind-ro="$binaries:/src/target/release" \
        </dev/null >"$console" 2>&1 &
    container=$!
    trap shut_down EXIT
    until_ok "the container's first process" pgrep --parent "$container"
    leader=$(pgrep --parent "$container")
    until_ok "systemd to be up" sh -c "nsenter --target $leader --all systemctl is-system-running | grep -E 'running|degraded'"
}

shut_down() {
    in_box systemctl poweroff --force --force >/dev/null 2>&1 || kill "$container" 2>/dev/null || true
    wait "$container" 2>/dev/null || true
}

# A press and a broker, on the container's loopback.
start_peers() {
    in_box systemd-run --quiet --unit=press /src/target/release/penstock-plant press-line --listen 127.0.0.1:5020
    in_box systemd-run --quiet --unit=broker /src/target/release/penstock-plant broker --listen 127.0.0.1:1883
}

# The indented lines below the README's heading; after the one that brings the configuration, it is edited.
install_as_the_readme_says() {
    local lines line
    lines=$(awk '/^## /{inside = /Install as a service/} inside && sub(/^    /, "") {sub(/  +#.*/, ""); print}' "$repository/README.md")
    [ -n "$lines" ] || fail "README.md no longer says how to install as a service"
    while read -r line <&3; do
        echo "boot: # $line"
        in_box sh -ec "$line" || fail "README.md: $line"
        case $line in
        *config.toml*) in_box sed --in-place --regexp-extended \
            -e 's#^address = .*#address = "tcp://127.0.0.1:5020"#' \
            -e 's#^url = .*#url = "mqtt://127.0.0.1:1883"#' /etc/penstock/config.toml ;;
        *"enable --now"*) is ActiveState active || fail "\`systemctl start\` returned before the gateway was ready" ;;
        esac
    done 3<<<"$lines"
}

tighten_watchdog() {
    in_box mkdir -p /etc/systemd/system/penstock.service.d
    in_box sh -c "printf '[Service]\nWatchdogSec=%ss\nTimeoutAbortSec=2s\n' $watchdog_s >/etc/systemd/system/penstock.service.d/quick.conf"
    in_box systemctl daemon-reload
    in_box systemctl restart penstock
}

modes_are() {
    local expected=$1 found
    shift
    found=$(in_box stat --format='%a %U:%G' "$@" | sort --unique | tr '\n' ' ')
    [ "$found" = "$expected " ] || fail "$*: $found, and not $expected"
}

make_root
boot
start_peers
install_as_the_readme_says
until_ok "events to be delivered" delivers
saw "installed as README.md says, ready when started, and delivering"

modes_are '750 penstock:penstock' /var/lib/penstock
modes_are '700 penstock:penstock' /var/lib/penstock/business /var/lib/penstock/telemetry
modes_are '600 penstock:penstock' /var/lib/penstock/manifest /var/lib/penstock/cursors /var/lib/penstock/LOCK
modes_are '660 penstock:penstock' /var/lib/penstock/control.sock
modes_are '750 root:penstock' /etc/penstock
modes_are '700 root:root' /etc/penstock/secret
saw "the data is the gateway's alone, the configuration is root's"

in_box useradd --groups penstock mechanic
in_box useradd stranger
in_box setpriv --reuid=mechanic --regid=mechanic --init-groups penstock status >/dev/null || fail "a member of the group may not ask"
if in_box setpriv --reuid=stranger --regid=stranger --init-groups penstock status >/dev/null 2>&1; then
    fail "whoever is not in the group may ask"
fi
saw "the group may ask over the control socket, and nobody else"

in_box journalctl --unit=penstock --output=json --no-pager | grep --quiet '"F_GATEWAY":"edge-01"' || fail "the journal has no fields"
saw "the journal has fields"

in_box sh -c "kill -KILL $(property MainPID)"
until_ok "the restart after SIGKILL" restarts_reach 1
until_ok "delivery after SIGKILL" delivers
saw "killed, it comes back and delivers"

tighten_watchdog
until_ok "delivery with a short watchdog" delivers
frozen=$(property MainPID)
in_box sh -c "kill -STOP $frozen"
until_ok "the watchdog to end the frozen gateway" is_not MainPID "$frozen"
in_box journalctl --unit=penstock --no-pager | grep --quiet "Watchdog timeout" || fail "it was not the watchdog"
until_ok "delivery after the watchdog" delivers
saw "frozen, the watchdog ends it, and it comes back and delivers"

# Longer than the watchdog's time: it is fed.
lively=$(property MainPID)
sleep $((watchdog_s * 2))
is MainPID "$lively" || fail "the watchdog ended a gateway that was well"
saw "well, the watchdog leaves it alone"

in_box systemctl stop penstock
is Result success || fail "systemctl stop ended it with $(property Result)"
in_box journalctl --unit=penstock --output=json --no-pager | grep "undelivered events wait" | tail -n 1 | grep --quiet '"F_BACKLOG":"0"' ||
    fail "it stopped without having delivered what it had"
saw "stopped, it delivers what it has and ends well"

in_box sh -c 'echo "[nonsense]" >>/etc/penstock/config.toml'
in_box systemctl start penstock 2>/dev/null && fail "it starts with a configuration that is wrong"
until_ok "the service to be failed" is ActiveState failed
is ExecMainStatus 78 || fail "a wrong configuration ends it with $(property ExecMainStatus), not 78"
saw "a wrong configuration is not tried again"
echo "boot: all well"
