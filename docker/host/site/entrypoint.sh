#!/bin/bash
# entrypoint.sh login: a host without a scheduler. An image with one has its own in this place.
. /opt/simcluster/machine.sh

start_sshd
until_ends $sshd
