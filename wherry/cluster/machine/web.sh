#!/bin/sh
# The sample web server: says who answers, from its environment and the files of its ConfigMap.
set -eu

page=/www/index.html
{
  echo "${GREETING:-Hello} from ${POD_NAME:-$(hostname)} (version ${VERSION})"
  for file in /etc/web/*; do
    if [ -f "$file" ]; then echo "${file##*/}: $(cat "$file")"; fi
  done
} > "$page"
echo ok > /www/healthz

echo "version ${VERSION} listening on port ${PORT}"
# httpd is not the first process of the container: that one would ignore SIGTERM.
httpd -f -v -p "$PORT" -h /www &
server=$!
trap 'echo "stopping"; kill "$server"' TERM INT
wait "$server" || true
