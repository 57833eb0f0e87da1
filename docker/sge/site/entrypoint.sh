#!/bin/bash
# entrypoint.sh login|node
#
# Of the setup these are Grid Engine's: hosts (the login host first), slots (of a node) and queues, a line for each with
# its name, its h_rt, and its hosts.
. /opt/simcluster/machine.sh
export SGE_ROOT=/var/lib/gridengine SGE_CELL=default SGE_ND=1 # the daemons stay in the foreground
read -rd '' -a hosts < $setup/hosts || true
/bin/bash /opt/simcluster/hosts.sh wait

q() { qconf "$@" > /dev/null; }

tell_master() {
    local name h_rt members
    until qconf -sconf > /dev/null 2>&1; do sleep 0.02; done
    # A job is started when it is submitted, and leaves when it has ended.
    qconf -ssconf | sed "
        s/^\(schedule_interval *\).*/\10:0:1/
        s/^\(flush_[a-z]*_sec *\).*/\11/" > $setup/sched
    q -Msconf $setup/sched
    q -Ap /opt/simcluster/smp
    printf 'group_name @allhosts\nhostlist %s\n' "${hosts[*]:1}" > $setup/allhosts
    for name in "${hosts[@]}"; do q -as "$name"; done
    for name in "${hosts[@]:1}"; do q -ah "$name"; done
    q -Ahgrp $setup/allhosts
    while read -r name h_rt members; do
        sed -e "s/@name/$name/; s/@h_rt/$h_rt/; s/@hosts/$members/; s/@slots/$(cat $setup/slots)/" \
            /opt/simcluster/queue > "$setup/queue"
        q -Aq "$setup/queue"
    done < $setup/queues
}

case $1 in
    login)
        start_sshd
        /usr/sbin/sge_qmaster &
        tell_master
        until_ends $sshd
        ;;
    node)
        # Only who is known to the master may register with it.
        until qconf -sh 2> /dev/null | grep -qx "$HOSTNAME"; do sleep 0.05; done
        # Jobs get no variables of a login, but these.
        BASH_ENV=/opt/simcluster/modules.sh /usr/sbin/sge_execd &
        until_ends $!
        ;;
esac
