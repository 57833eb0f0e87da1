#!/bin/bash
# Installs slurmdbd and MariaDB, and makes the database now, so that a cluster with accounting starts as fast as one without.
set -euo pipefail

apt-get update
apt-get install -y --no-install-recommends slurmdbd mariadb-server
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /var/lib/mysql

install -m 0644 /build/accounting.cnf /etc/mysql/mariadb.conf.d/90-simcluster.cnf
mkdir -p /etc/slurm
install -o slurm -g slurm -m 0600 /build/slurmdbd.conf /etc/slurm/slurmdbd.conf
install -d -o slurm -g slurm /run/slurm /var/log/slurm
install -d -o mysql -g mysql /var/lib/mysql /run/mysqld /var/log/mysql
install -d -o munge -g munge -m 0700 /etc/munge /var/lib/munge /var/log/munge
install -d -o munge -g munge /run/munge

as() { exec setpriv --reuid="$1" --regid="$1" --init-groups "${@:2}"; }
until_true() { for _ in {1..600}; do "$@" > /dev/null 2>&1 && return; sleep 0.05; done; "$@"; }

(as mysql mariadb-install-db --skip-test-db --auth-root-authentication-method=socket > /dev/null)
head -c 128 /dev/urandom > /etc/munge/munge.key
chown munge:munge /etc/munge/munge.key
chmod 0400 /etc/munge/munge.key
(as munge munged --foreground) & munge=$!
(as mysql mariadbd) & database=$!
until_true test -S /run/mysqld/mysqld.sock -a -S /run/munge/munge.socket.2
until_true mariadb -e 'CREATE DATABASE IF NOT EXISTS slurm_acct_db'
mariadb -e "CREATE USER slurm@localhost IDENTIFIED VIA unix_socket; GRANT ALL ON slurm_acct_db.* TO slurm@localhost"

printf 'ClusterName=simcluster\nSlurmctldHost=login\nAccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=localhost\n' \
    > /etc/slurm/slurm.conf
(as slurm slurmdbd -D) & accounting=$!
until_true sacctmgr -i add cluster simcluster
sacctmgr -i add account lab Description=lab Organization=lab
sacctmgr -i add user alice,bob Account=lab

kill $accounting; wait $accounting || true
kill $database; wait $database || true
kill $munge; wait $munge || true
rm -f /etc/slurm/slurm.conf /etc/munge/munge.key /run/munge/* /run/mysqld/* /run/slurm/* /var/log/slurm/* /var/log/mysql/*
