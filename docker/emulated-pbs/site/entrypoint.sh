#!/bin/bash
# entrypoint.sh login|node
#
# Of the setup this is the scheduler's: spec.json, the cluster's spec.
. /opt/simcluster/machine.sh

case $1 in
    login)
        start_sshd
        install -d -o alice -g alice -m 0700 /home/.simcluster
        (as alice /opt/simcluster/bin/contained login) < $setup/spec.json &
        until_ends $sshd
        ;;
    node)
        until [ -d /home/.simcluster ]; do sleep 0.02; done
        (as alice /opt/simcluster/bin/contained node) &
        until_ends $!
        ;;
esac
