#!/bin/bash
# Lets every program inside trust the certificates in extra-ca/.
set -euo pipefail

update-ca-certificates
bundle=/etc/ssl/certs/ca-certificates.crt

# In files, because a program started over SSH has none of the image's environment variables.
printf '[global]\ncert = %s\ndisable-pip-version-check = true\n' "$bundle" > /etc/pip.conf
mkdir -p /etc/uv
printf 'native-tls = true\n' > /etc/uv/uv.toml
