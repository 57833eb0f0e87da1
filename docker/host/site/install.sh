#!/bin/bash
# The last step of the image: what a site's administrator would set up.
set -euo pipefail

for prefix in /opt/python/*; do printf '%s/lib\n' "$prefix"; done > /etc/ld.so.conf.d/opt-python.conf
ldconfig

# Every bash gets `module`: login shells by /etc/profile.d, `ssh host command` by /etc/bash.bashrc, and batch scripts
# by BASH_ENV, which both of them export. `autoinit` is run once, here: it costs 100 ms, and shells start often.
mkdir -p /opt/modulefiles
tclsh8.6 /usr/lib/*-linux-gnu/modulecmd.tcl bash autoinit |
    grep -Ev '^(unset|test|LOADEDMODULES|MODULEPATH|MANPATH|__MODULES)' > /opt/simcluster/module-functions.sh
rm -f /etc/profile.d/modules.sh
cp /opt/simcluster/modules.sh /etc/profile.d/modules.sh
sed -i '1i . /opt/simcluster/modules.sh' /etc/bash.bashrc

rm -rf /home/*
mkdir -p /scratch
