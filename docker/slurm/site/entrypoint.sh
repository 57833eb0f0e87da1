#!/bin/bash
# entrypoint.sh login|node [accounting]
#
# SIMCLUSTER_SETUP is what is this cluster's own, a tar archive in base64: slurm.conf, cgroup.conf, gres.conf,
# munge.key, pythons (versions, the oldest first), and on the login host ssh_host_ed25519_key, alice.pub and bob.pub.
set -euo pipefail
umask 022
role=$1
accounting=${2:-}
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

# wait_for_port HOST PORT: Slurm's daemons try again only after whole seconds, or not at all.
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

start_munge() {
    install -d -o munge -g munge -m 0700 /etc/munge /var/lib/munge /var/log/munge
    install -d -o munge -g munge -m 0755 /run/munge
    install -o munge -g munge -m 0400 $setup/munge.key /etc/munge/munge.key
    rm -f /run/munge/*
    (as munge /usr/sbin/munged --foreground --num-threads=2) &
    wait_for_socket /run/munge/munge.socket.2
}

make_home() {
    [ -d "/home/$1" ] || cp -r /etc/skel "/home/$1"
    mkdir -p "/home/$1/.ssh" "/scratch/$1"
    cp "$setup/$1.pub" "/home/$1/.ssh/authorized_keys"
    chown -R "$1:$1" "/home/$1" "/scratch/$1"
    chmod 0700 "/home/$1" "/home/$1/.ssh" "/scratch/$1"
}

# What a job with --export=NONE gets, where slurm.conf has GetEnvTimeout=0.
write_down_logins() {
    local user
    mkdir -p /var/spool/slurmctld/env_cache
    for user in alice bob; do
        (as "$user" env -i HOME="/home/$user" USER="$user" LOGNAME="$user" SHELL=/bin/bash bash -lc env) \
            > "/var/spool/slurmctld/env_cache/$user"
    done
}

start_database() {
    install -d -o mysql -g mysql -m 0755 /run/mysqld
    (as mysql /usr/sbin/mariadbd) &
    wait_for_socket /run/mysqld/mysqld.sock
    (as slurm /usr/sbin/slurmdbd -D) &
    wait_for_port localhost 6819
}

mkdir -p -m 0700 $setup
base64 --decode <<< "$SIMCLUSTER_SETUP" | tar --extract --gzip --directory $setup
unset SIMCLUSTER_SETUP # no daemon and no job has to know it
mkdir -p /etc/slurm
install -m 0644 $setup/*.conf /etc/slurm/
# slurmd wants a device for each GPU: further names of /dev/null.
sed -n 's/^Name=gpu File=//p' /etc/slurm/gres.conf | while read -r device; do
    [ -e "$device" ] || mknod -m 0666 "$device" c 1 3
done
install -d -o slurm -g slurm -m 0755 /run/slurm /var/log/slurm /var/spool/slurmctld
mkdir -p /var/spool/slurmd
read -ra pythons < $setup/pythons
show_pythons "${pythons[@]}"
show_proxies

case $role in
    login)
        make_home alice
        make_home bob
        mkdir -p /run/sshd
        /usr/sbin/sshd -D -e -f /opt/simcluster/sshd_config &
        main=$!
        start_munge
        [ -z "$accounting" ] || start_database
        (as slurm /usr/sbin/slurmctld -D) &
        ;;
    node)
        write_down_logins
        start_munge
        wait_for_port login 6817
        /usr/sbin/slurmd -D &
        main=$!
        ;;
esac

# The container is for one of its daemons, and ends with that.
trap 'kill $(jobs -p) 2> /dev/null; wait; exit 0' TERM INT
wait "$main" || true
echo "$role: the main daemon has ended" >&2
exit 1
