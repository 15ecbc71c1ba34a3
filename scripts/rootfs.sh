#!/bin/sh
# Puts together the root file system of the container image: rootfs.sh BINARY DIRECTORY
# BINARY is statically linked. The Dockerfile runs this, and so does scripts/image.sh.
set -eu

binary=${1:?usage: rootfs.sh BINARY DIRECTORY}
root=${2:?usage: rootfs.sh BINARY DIRECTORY}
certificates=/etc/ssl/certs/ca-certificates.crt
here=$(cd "$(dirname "$0")/.." && pwd)

if [ ! -s "$certificates" ]; then
    echo "rootfs.sh: $certificates is missing: apt-get install -y ca-certificates" >&2
    exit 1
fi
if [ -e "$root" ]; then
    echo "rootfs.sh: $root is there already" >&2
    exit 1
fi

umask 022
mkdir -p "$root/usr/bin" "$root/etc/redoubt" "$root/etc/ssl/certs" "$root/usr/share/doc/redoubt"
install -m 0555 "$binary" "$root/usr/bin/redoubt"
install -m 0444 "$here/config/image/redoubt.toml" "$root/etc/redoubt/redoubt.toml"
install -m 0444 "$here/LICENSE" "$root/usr/share/doc/redoubt/LICENSE"
# This file is for rediss:// upstreams whose certificates a public CA has signed.
install -m 0444 "$certificates" "$root/etc/ssl/certs/ca-certificates.crt"
echo 'redoubt:x:999:999:Redoubt:/:/sbin/nologin' >"$root/etc/passwd"
echo 'redoubt:x:999:' >"$root/etc/group"
# Names come from /etc/hosts and DNS; nothing else is linked in.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
chmod 0444 "$root/etc/passwd" "$root/etc/group" "$root/etc/nsswitch.conf"
