#!/bin/bash
# hosts.sh [wait]: writes down in /etc/hosts where this cluster's machines are; with `wait` when all of them are there.
# Docker's own DNS finds a machine by its name, but calls it by another one where a program asks by the address.
set -euo pipefail

lines=
for name in $(cat /run/simcluster/hosts); do
    [ "$name" != "$HOSTNAME" ] || continue # Docker has written this one down
    for _ in {1..500}; do
        address=$(getent -s hosts:dns ahostsv4 "$name" | sed -n '1s/ .*//p') || true
        [ -z "$address" ] && [ "${1:-}" = wait ] || break
        sleep 0.05
    done
    [ -z "$address" ] || lines+="$address $name # simcluster"$'\n'
done
# Docker mounts this file, so it can't be replaced by another.
kept=$(grep -v '# simcluster$' /etc/hosts)
printf '%s\n%s' "$kept" "$lines" > /etc/hosts
