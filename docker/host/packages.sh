#!/bin/bash
# Installs SSH, environment modules and what the interpreters link against; makes the users.
set -euo pipefail

# Documentation and translations are a fifth of the image. Nothing starts a daemon during a build.
printf 'path-exclude=/usr/share/%s/*\n' doc man locale > /etc/dpkg/dpkg.cfg.d/slim
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d

. /etc/os-release
if [ -n "${MIRROR:-}" ]; then
    rm -f /etc/apt/sources.list.d/*
    printf 'deb %s %s main\n' "$MIRROR" "$VERSION_CODENAME" > /etc/apt/sources.list
fi

case $VERSION_CODENAME in
    bookworm) t64= ;;
    *) t64=t64 ;; # Debian 13 renamed the libraries whose time_t grew
esac

apt-get update
apt-get install -y --no-install-recommends \
    openssh-server openssh-client ca-certificates rsync procps less file \
    tcl8.6 "libssl3$t64" "libreadline8$t64" "libgdbm6$t64" libffi8 libsqlite3-0 libbz2-1.0 liblzma5 zlib1g \
    libncursesw6 libuuid1 libexpat1 libnsl2 libcrypt1

# Unpacked, not installed: it depends on Debian's python3, and which Python a cluster has is ours to choose.
cd /tmp
apt-get download environment-modules
dpkg-deb --extract environment-modules_*.deb /
rm -f environment-modules_*.deb

rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /etc/ssh/ssh_host_*

# The password '*' is one that never matches. A locked account ('!') would be refused by an sshd without PAM.
useradd --uid 1000 --password '*' --shell /bin/bash --no-create-home alice
useradd --uid 1001 --password '*' --shell /bin/bash --no-create-home bob
