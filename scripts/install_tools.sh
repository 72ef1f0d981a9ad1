#!/usr/bin/env bash
# What the tests use of the machine: as root on Debian whatever is missing is installed, elsewhere it is named, and the
# tests that need it say so and are skipped. Run by `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A package_of=(
  [dockerd]=docker.io [docker]=docker-cli [docker-compose]=docker-compose [iptables]=iptables [nft]=nftables [ip]=iproute2
  [etcd]=etcd-server [etcdctl]=etcd-client [busybox]=busybox-static [strace]=strace
)
export PATH="$PATH:/usr/sbin:/sbin"

missing=()
for program in "${!package_of[@]}"; do
  command -v "$program" >/dev/null || missing+=("${package_of[$program]}")
done

if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq </dev/null || true
  for package in "${missing[@]}"; do
    # One by one: a name that this release does not have must not keep the others out.
    echo "installing $package"
    apt-get install -y -qq --no-install-recommends "$package" </dev/null >/dev/null 2>&1 || echo "cannot install $package" >&2
  done
elif [ ${#missing[@]} -gt 0 ]; then
  echo "not installed here: ${missing[*]} (the tests that need them will say so and be skipped)"
fi

# A daemon of nobody's runs on after the tests: several clusters of theirs come and go in it.
.venv/bin/python -m wherry.cluster.machine.docker_engine || true
