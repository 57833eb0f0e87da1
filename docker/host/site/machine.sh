# What every machine of a cluster does first; sourced by entrypoint.sh, which is the scheduler's own.
#
# SIMCLUSTER_SETUP is what is this cluster's own, a tar archive in base64: pythons (versions, the oldest first), and on the
# login host ssh_host_ed25519_key, alice.pub and bob.pub; the rest is for the scheduler.
set -euo pipefail
umask 022
setup=/run/simcluster

wait_for_socket() {
    for _ in {1..500}; do
        [ -S "$1" ] && return
        sleep 0.01
    done
    echo "$1 did not appear" >&2
    exit 1
}

# as USER COMMAND...: setpriv and not runuser, which would want PAM and stay as a parent.
as() { exec setpriv --reuid="$1" --regid="$1" --init-groups "${@:2}"; }

# wait_for_port HOST PORT: daemons try again only after whole seconds, or not at all.
wait_for_port() {
    for _ in {1..1000}; do
        (: > "/dev/tcp/$1/$2") 2> /dev/null && return
        sleep 0.02
    done
    echo "$1:$2 did not answer" >&2
    exit 1
}

show_pythons() {
    local wanted="$*" prefix version
    rm -rf /opt/modulefiles/python /usr/local/bin/python3*
    mkdir -p /opt/modulefiles/python
    for prefix in /opt/python/*; do
        version=${prefix##*/}
        if [[ " $wanted " != *" $version "* ]]; then
            chmod 0700 "$prefix"
            continue
        fi
        chmod 0755 "$prefix"
        printf '#%%Module1.0\nmodule-whatis "Python %s"\nconflict python\nprepend-path PATH %s/bin\n' \
            "$version" "$prefix" > "/opt/modulefiles/python/$version"
        # Not symlinks: virtual environments of 3.11 and newer look for their standard library beside the link.
        printf '#!/bin/sh\nexec %s/bin/python%s "$@"\n' "$prefix" "$version" > "/usr/local/bin/python$version"
        chmod 0755 "/usr/local/bin/python$version"
    done
    printf '#!/bin/sh\nexec /opt/python/%s/bin/python%s "$@"\n' "$1" "$1" > /usr/bin/python3
    chmod 0755 /usr/bin/python3
}

# The container's environment does not reach what sshd starts, so proxies go where shells look.
show_proxies() {
    local name
    for name in {http,https,ftp,no}_proxy {HTTP,HTTPS,FTP,NO}_PROXY; do
        [ -z "${!name:-}" ] || printf 'export %s=%q\n' "$name" "${!name}"
    done > /opt/simcluster/proxies.sh
}

make_home() {
    [ -d "/home/$1" ] || cp -r /etc/skel "/home/$1"
    mkdir -p "/home/$1/.ssh" "/scratch/$1"
    cp "$setup/$1.pub" "/home/$1/.ssh/authorized_keys"
    chown -R "$1:$1" "/home/$1" "/scratch/$1"
    chmod 0700 "/home/$1" "/home/$1/.ssh" "/scratch/$1"
}

start_sshd() {
    make_home alice
    make_home bob
    mkdir -p /run/sshd
    /usr/sbin/sshd -D -e -f /opt/simcluster/sshd_config &
    sshd=$!
}

# until_ends PID: the container is for one of its daemons, and ends with that.
until_ends() {
    trap 'kill $(jobs -p) 2> /dev/null; wait; exit 0' TERM INT
    wait "$1" || true
    echo "the main daemon has ended" >&2
    exit 1
}

mkdir -p -m 0700 $setup
base64 --decode <<< "$SIMCLUSTER_SETUP" | tar --extract --gzip --directory $setup
unset SIMCLUSTER_SETUP # no daemon and no job has to know it
read -ra pythons < $setup/pythons
show_pythons "${pythons[@]}"
show_proxies
