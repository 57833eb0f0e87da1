#!/bin/bash
# Gives the scheduler an interpreter of its own, for which Pythons a cluster has is up to its user.
set -euo pipefail

newest=$(ls -d /opt/python/3.* | sort -V | tail -n 1)
cp -a "$newest" /opt/simcluster/python
echo /opt/simcluster/python/lib > /etc/ld.so.conf.d/00-simcluster.conf
ldconfig
mkdir -p /opt/simcluster/bin
cat > /opt/simcluster/bin/contained << END
#!/bin/sh
PYTHONPATH=/opt/simcluster/lib exec /opt/simcluster/python/bin/python${newest##*/} -B -m simcluster.emulated.contained "\$@"
END
chmod 0755 /opt/simcluster/bin/contained
for command in qsub qstat qdel qhold qrls qrerun qsig qselect qalter qmove pbsnodes; do
    ln -s "/home/.simcluster/shared/bin/$command" "/usr/bin/$command"
done
