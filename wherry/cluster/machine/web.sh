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
# A line for each request: who asked, for what, and what came of it. Probes ask so often that they would drown the rest.
rm -f /tmp/requests
mkfifo /tmp/requests
awk '
  / url:/ { asked[$1] = substr($2, 5); next }
  / response:/ {
    if (asked[$1] != "/healthz") { print $1, asked[$1], substr($2, 10); fflush() }
    delete asked[$1]
    next
  }
  { print; fflush() }
' < /tmp/requests &
# httpd is not the first process of the container: that one would ignore SIGTERM.
httpd -f -vv -p "$PORT" -h /www > /tmp/requests 2>&1 &
server=$!
trap 'echo "stopping"; kill "$server"' TERM INT
wait "$server" || true
