#!/usr/bin/env bash
# Makes .venv with Wherry and all it needs, or brings it up to date. Run by `make install`.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/.installed
ours=(wherry apiserver scheduler controllers kubelet kubeproxy)
# Compiled once here, a cluster starts three times as fast, also where Python is told not to keep what it compiles.
compile_ours() {
  .venv/bin/python -m compileall -q "${ours[@]}"
  touch "$stamp"
}

if [ -x .venv/bin/wherry ] && [ -x .venv/bin/python ] && [ "$stamp" -nt pyproject.toml ]; then
  # Asked of find, since Python needs a tenth of a second to see that nothing has changed.
  [ -z "$(find "${ours[@]}" -name '*.py' -newer "$stamp" -print -quit)" ] || compile_ours
  exit 0
fi

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null 2>&1 \
    || { apt-get update -qq </dev/null >/dev/null && apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null; }
}
is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
find_python() {
  local name
  for name in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if command -v "$name" >/dev/null && is_new_enough "$name"; then command -v "$name"; return; fi
  done
  return 1
}

if ! python=$(find_python); then
  may_install && apt_install python3 python3-venv || true
  if ! python=$(find_python); then
    echo "Wherry needs Python 3.11 or newer, and there is none here. Install it, or name it: make install PYTHON=/path/to/python3" >&2
    exit 1
  fi
fi

uv=$(command -v uv || true)
if ! [ -x .venv/bin/python ]; then
  echo "making .venv with $python"
  if [ -n "$uv" ]; then
    "$uv" venv -q --python "$python" .venv
  elif ! "$python" -m venv .venv 2>/dev/null; then
    rm -rf .venv
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    may_install && { apt_install "python$version-venv" || apt_install python3-venv; }
    "$python" -m venv .venv || {
      echo "$python cannot make a virtual environment; on Debian: apt install python3-venv" >&2
      exit 1
    }
  fi
fi

echo "installing Wherry and what it is built with and tested by: some 80 packages, a minute or two"
wanted=".[explain,dev]"
if [ -z "$uv" ] || ! "$uv" pip install -q --compile-bytecode --python .venv/bin/python -e "$wanted"; then
  .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip -q
  .venv/bin/python -m pip install -q --disable-pip-version-check -e "$wanted"
fi
compile_ours
