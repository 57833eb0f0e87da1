#!/bin/bash
# entrypoint.sh login|node
#
# Of the setup these are PBS's: hosts (the login host first), resources (of a node, as qmgr has them) and commands (for qmgr).
. /opt/simcluster/machine.sh
role=$1
home=/var/spool/pbs
version=$(/opt/pbs/bin/qstat --version 2>&1 | sed 's/.*= *//')
read -rd '' -a hosts < $setup/hosts || true
/bin/bash /opt/simcluster/hosts.sh wait

configure() {
    local serves=0 runs=1
    [ "$role" = node ] || { serves=1 runs=0; }
    cat > /etc/pbs.conf << END
PBS_EXEC=/opt/pbs
PBS_HOME=$home
PBS_SERVER=login
PBS_START_SERVER=$serves
PBS_START_SCHED=$serves
PBS_START_COMM=$serves
PBS_START_MOM=$runs
PBS_SCP=/usr/bin/scp
END
    chmod 4755 /opt/pbs/sbin/pbs_iff /opt/pbs/sbin/pbs_rcp
}

tell_server() {
    local name
    until qmgr -c 'list server' > /dev/null 2>&1; do sleep 0.1; done
    for name in "${hosts[@]:1}"; do
        printf 'create node %s\nset node %s %s\n' "$name" "$name" "$(paste -sd, $setup/resources)"
    done | cat - $setup/commands | qmgr > /dev/null
}

# pbs_init.d, with the system's libpython for the Python inside of PBS, and not the cluster's own of the same version.
start_pbs() { LD_LIBRARY_PATH=/usr/lib/$(uname -m)-linux-gnu /opt/pbs/libexec/pbs_init.d start; }

configure
case $role in
    login)
        start_sshd
        [ -d $home/server_priv ] ||
            /opt/pbs/libexec/pbs_postinstall server "$version" /opt/pbs $home postgres sameconf
        start_pbs
        [ -e $setup/told ] || tell_server
        touch $setup/told
        until_ends $sshd
        ;;
    node)
        [ -d $home/mom_priv ] || /opt/pbs/libexec/pbs_postinstall execution "$version" /opt/pbs $home sameconf
        printf '%s\n' '$clienthost login' '$usecp *:/home /home' '$usecp *:/scratch /scratch' '$min_check_poll 1' \
            '$max_check_poll 2' > $home/mom_priv/config
        # Jobs get no variables of a login, but these.
        printf 'BASH_ENV=/opt/simcluster/modules.sh\nPATH=/usr/local/bin:/usr/bin:/bin\n' > $home/pbs_environment
        wait_for_port login 15001
        start_pbs
        tail -n 0 -F $home/mom_logs/* & # to have something that lasts
        until_ends $!
        ;;
esac
