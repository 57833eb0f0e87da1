#!/bin/bash
# entrypoint.sh login|node [accounting]
#
# Of the setup these are Slurm's: slurm.conf, cgroup.conf, gres.conf and munge.key.
. /opt/simcluster/machine.sh
role=$1
accounting=${2:-}

start_munge() {
    install -d -o munge -g munge -m 0700 /etc/munge /var/lib/munge /var/log/munge
    install -d -o munge -g munge -m 0755 /run/munge
    install -o munge -g munge -m 0400 $setup/munge.key /etc/munge/munge.key
    rm -f /run/munge/*
    (as munge /usr/sbin/munged --foreground --num-threads=2) &
    wait_for_socket /run/munge/munge.socket.2
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

mkdir -p /etc/slurm
install -m 0644 $setup/*.conf /etc/slurm/
# slurmd wants a device for each GPU: further names of /dev/null.
sed -n 's/^Name=gpu File=//p' /etc/slurm/gres.conf | while read -r device; do
    [ -e "$device" ] || mknod -m 0666 "$device" c 1 3
done
install -d -o slurm -g slurm -m 0755 /run/slurm /var/log/slurm /var/spool/slurmctld
mkdir -p /var/spool/slurmd

case $role in
    login)
        start_sshd
        start_munge
        [ -z "$accounting" ] || start_database
        (as slurm /usr/sbin/slurmctld -D) &
        until_ends $sshd
        ;;
    node)
        write_down_logins
        start_munge
        wait_for_port login 6817
        /usr/sbin/slurmd -D &
        until_ends $!
        ;;
esac
