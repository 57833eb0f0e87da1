#!/bin/bash
# Installs Slurm and munge.
set -euo pipefail

apt-get update
apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /etc/munge/munge.key /var/lib/slurm /var/spool/slurm*
