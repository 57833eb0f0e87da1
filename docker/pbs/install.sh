#!/bin/bash
# Makes a machine of the base, as docker/host makes one of Debian, and puts PBS's commands on everybody's PATH.
set -euo pipefail

[ -x /opt/pbs/bin/qsub ] || { echo "PBS_BASE holds no OpenPBS under /opt/pbs" >&2; exit 1; }
command -v apt-get > /dev/null || { echo "PBS_BASE is neither Debian nor Ubuntu: this layer installs with apt-get" >&2; exit 1; }
! id alice > /dev/null 2>&1 || { echo "PBS_BASE has a user alice already" >&2; exit 1; }
/bin/bash /build/host/packages.sh
/bin/bash /build/host/trust.sh
/bin/bash /opt/simcluster/install.sh
ln -s /opt/pbs/bin/* /usr/bin/
for prefix in /opt/python/*; do
    "$prefix/bin/python${prefix##*/}" -c 'import ssl, ctypes' || {
        echo "$prefix does not run on PBS_BASE: build docker/host on the same release, and name it by HOST" >&2
        exit 1
    }
done
