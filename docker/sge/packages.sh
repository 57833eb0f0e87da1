#!/bin/bash
# Installs Grid Engine, and makes its cell, which is the same for every cluster but for what entrypoint.sh tells the master.
set -euo pipefail

# The package's own set-up would take the host that builds the image for the master.
printf 'gridengine-common shared/%s\n' 'gridengineconfig boolean false' 'gridenginemaster string login' \
    'gridenginecell string default' | debconf-set-selections
apt-get update
apt-get install -y --no-install-recommends gridengine-master gridengine-exec gridengine-client
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*

install -d -o sgeadmin -g sgeadmin /run/gridengine /var/spool/gridengine/spooldb
# A node's death is seen within seconds, and the accounting of a job that has ended.
sed -i '
    s/^\(loglevel *\).*/\1log_info/
    s/^\(load_report_time *\).*/\100:00:02/
    s/^\(max_unheard *\).*/\100:00:06/
    s/^\(reporting_params *\).*/\1accounting=true reporting=false flush_time=00:00:01 joblog=false/
' /usr/share/gridengine/default-configuration
setpriv --reuid=sgeadmin --regid=sgeadmin --init-groups \
    /usr/share/gridengine/scripts/init_cluster /var/lib/gridengine default /var/spool/gridengine/spooldb sgeadmin
common=/var/lib/gridengine/default/common
echo login > $common/act_qmaster
touch $common/accounting
chown sgeadmin:sgeadmin $common/act_qmaster $common/accounting
printf 'sge_qmaster 6444/tcp\nsge_execd 6445/tcp\n' >> /etc/services
