#!/bin/bash
# README's Install, line by line as it stands there, on a Debian that has nothing else: by a person who is no more than
# allowed to use sudo. In a tree of its own, in mount and network namespaces of its own. Two things are not as there:
# - No systemd runs in the tree: `systemctl` says that it ignores a start, and after that line carreld is started as the
#   installed unit says. That the unit itself works is tests/vm's.
# - `carrel image build` finds a mmdebstrap that packs a busybox instead of fetching a Debian for minutes; the true one is
#   integration-image-build's.
# usage: test-install.sh SOURCE_DIRECTORY
set -euo pipefail
readonly SOURCE=$1
readonly PERSON=reader

skip() {
    echo "SKIP: $1"
    if [ "${CARREL_MUST_RUN:-}" = 1 ]; then exit 1; fi
    exit 77
}

# The lines of the n-th block of README's Install.
block() {
    awk -v wanted="$1" '/^## /{ here = $2 == "Install" } here && /^```sh/{ n++; inside = 1; next } /^```/{ inside = 0 }
        here && inside && n == wanted' "$SOURCE/README.md"
}

# ---- the tree ----

# This machine's own apt lines and proxy, as `carrel image build` takes them.
recipe() {
    python3 -c '
import importlib.machinery, importlib.util, sys
loader = importlib.machinery.SourceFileLoader("recipe", sys.argv[1])
recipe = importlib.util.module_from_spec(importlib.util.spec_from_loader("recipe", loader))
sys.dont_write_bytecode = True
loader.exec_module(recipe)
print("\n".join(eval(sys.argv[2])))' "$SOURCE/image/build-debian" "$1"
}

make_tree() {
    local sources proxy suite
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    sources=$(recipe "recipe.machine_sources('$suite')")
    mapfile -t proxy < <(recipe 'recipe.apt_proxy()' | grep .)
    [ -n "$sources" ] || skip "apt has no source of $suite here"
    if ! TMPDIR=$scratch mmdebstrap --variant=minbase --aptopt='APT::Install-Recommends "false"' "${proxy[@]}" \
        --dpkgopt=force-unsafe-io --dpkgopt=path-exclude='/usr/share/doc/*' --dpkgopt=path-exclude='/usr/share/locale/*' \
        --include=systemd,sudo "$suite" "$tree" - <<<"$sources" >"$scratch/mmdebstrap.log" 2>&1; then
        grep -qE 'resolv|connect' "$scratch/mmdebstrap.log" && skip "no packages can be had here"
        tail -n 20 "$scratch/mmdebstrap.log"
        exit 1
    fi
    printf '%s\n' "${proxy[@]#--aptopt=}" "" >"$tree/etc/apt/apt.conf.d/90test"
    chroot "$tree" useradd --create-home --shell /bin/bash $PERSON
    # For systemctl: no systemd runs.
    printf '%s\n' "$PERSON ALL=(ALL) NOPASSWD: ALL" 'Defaults env_keep += SYSTEMD_OFFLINE' >"$tree/etc/sudoers.d/$PERSON"
    echo "127.0.0.1 localhost $(hostname)" >"$tree/etc/hosts"
    mkdir "$tree/home/$PERSON/carrel"
    tar -C "$SOURCE" --exclude='./build*' --exclude=./.git -c . | tar -C "$tree/home/$PERSON/carrel" -x
    chroot "$tree" chown -R $PERSON: "/home/$PERSON/carrel"
    install -D -m755 /dev/stdin "$tree/usr/local/bin/mmdebstrap" <<'END'
#!/bin/bash
set -e
d=$(mktemp -d)
mkdir -p "$d/bin" "$d/etc" "$d/proc" "$d/sys" "$d/dev" "$d/tmp" "$d/run"
cp /bin/busybox "$d/bin/busybox"
for name in $(busybox --list | grep -vx busybox); do ln -sf busybox "$d/bin/$name"; done
echo root:x:0:0:root:/:/bin/sh >"$d/etc/passwd"
echo root:x:0: >"$d/etc/group"
tar -C "$d" -c . >"${@: -2:1}" # build-debian names a file, and "-" for the sources behind it
END
}

# ---- in it ----

enter() {
    mount --make-rprivate /
    mount --bind "$tree" "$tree"
    for name in dev proc sys; do mount --rbind "/$name" "$tree/$name"; done
    mount -t tmpfs -o mode=0755 tmpfs "$tree/run"
    cp --remove-destination "$(readlink -f /etc/resolv.conf)" "$tree/etc/resolv.conf"
    cd "$tree"
    pivot_root . mnt
    cd /
    umount -l /mnt
    # crun wants no hybrid cgroup tree.
    umount /sys/fs/cgroup/unified 2>/dev/null || true
}

# As the unit has it, and in a network of its own, where this machine's resolvers do not answer.
start_carreld() {
    local unit=/usr/lib/systemd/system/carreld.service check start
    check=$(sed -n 's/^ExecStartPre=//p' $unit)
    start=$(sed -n 's/^ExecStart=//p' $unit)
    $check >/dev/null || { echo "carreld --check: $?"; exit 1; }
    unshare --net sh -c 'ip link set lo up; echo 1 >/proc/sys/net/ipv4/ip_forward; exec "$@"' - \
        env CARREL_CGROUP_PARENT="$CGROUP" CARREL_DNS= $start >/var/log/carreld.log 2>&1 &
    daemon=$!
    for _ in $(seq 600); do
        curl -fs --unix-socket /run/carrel/carrel.sock http://carrel/readyz >/dev/null && return
        kill -0 $daemon || break
        sleep 0.1
    done
    echo "carreld does not get ready:"
    tail -n 30 /var/log/carreld.log
    exit 1
}

stop_carreld() {
    [ -n "$daemon" ] || return 0
    carrel rm --all --yes >/dev/null || true
    kill $daemon
    wait $daemon || true
}

# A line as the person types it, in the clone; $1: the session's groups are "old" or "new". Its output on failure.
type_line() {
    echo "\$ $2"
    if ! setpriv --reuid=$PERSON --regid=$PERSON $1 env -i HOME=/home/$PERSON USER=$PERSON PATH="$PATH" SYSTEMD_OFFLINE=1 LC_ALL=C \
        bash -c "cd ~/carrel; $2" >/tmp/output 2>&1 </dev/null; then
        tail -n 40 /tmp/output
        echo "ERROR: $2"
        tail -n 20 /var/log/carreld.log 2>/dev/null || true
        return 1
    fi
    echo "# $SECONDS s"
}

walk() {
    local line
    trap stop_carreld EXIT
    while IFS= read -r line; do
        type_line --clear-groups "$line"
        case $line in *'systemctl start carreld'*) start_carreld ;; esac
    done <<<"$FIRST"
    # Not yet in the group: what it says is what to do.
    if type_line --clear-groups 'carrel ls' >/tmp/refused; then echo "the socket is open to everybody"; exit 1; fi
    grep -q 'member of the group `carrel` (usermod -aG carrel' /tmp/refused || { cat /tmp/refused; exit 1; }
    if type_line --clear-groups 'carrel doctor' >/tmp/refused; then exit 1; fi
    grep -q 'member of the group `carrel` (usermod -aG carrel' /tmp/refused || { cat /tmp/refused; exit 1; }
    while IFS= read -r line; do type_line --init-groups "$line"; done <<<"$SECOND"
    grep -q alice /tmp/output || { cat /tmp/output; exit 1; }
}

if [ "${2:-}" = inside ]; then
    daemon=''
    enter
    walk
    exit
fi

[ "$(id -u)" = 0 ] || skip "needs root"
command -v mmdebstrap >/dev/null || skip "mmdebstrap is missing"
scratch=$(mktemp -d /var/tmp/carrel-test-install.XXXXXX)
chmod 755 "$scratch"
export tree=$scratch/tree CGROUP=/carrel-testbed-install-$$
FIRST=$(block 1) SECOND=$(block 2)
export FIRST SECOND
clean_up() {
    find /sys/fs/cgroup -depth -type d -path "*$CGROUP*" -exec rmdir {} + 2>/dev/null || true
    rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT
trap 'exit 143' TERM INT
[ "$(wc -l <<<"$FIRST")" -gt 4 ] && [ -n "$SECOND" ] || { echo "README's Install has other blocks"; exit 1; }
make_tree
unshare --mount --propagation private "$0" "$SOURCE" inside
