#!/bin/sh
# A node is cut off, its pods move, it returns, and nothing runs twice.
#
#   examples/node-loss.sh            needs Docker; takes about a minute; leaves nothing behind
#
# The node is a kubelet that is stopped (SIGSTOP): its containers go on, as those of a machine without network would.
# NAME, DATA_DIR and PORT choose the cluster; KEEP=1 leaves it running.
set -eu

NAME=${NAME:-node-loss}
[ -n "${DATA_DIR:-}" ] || made=$(mktemp -d)
DATA_DIR=${DATA_DIR:-$made/wherry}
WHERRY=${WHERRY:-wherry}
export KUBECONFIG="$DATA_DIR.kubeconfig"

cluster() {
    verb=$1
    shift
    "$WHERRY" "$verb" --name "$NAME" --data-dir "$DATA_DIR" "$@"
}

say() { printf '\n== %s\n' "$*"; }

# until_true SECONDS COMMAND...: how long it took until the command held
until_true() {
    most=$1 began=$(date +%s)
    shift
    until "$@"; do
        passed=$(($(date +%s) - began))
        [ "$passed" -lt "$most" ] || { echo "not within $most s: $*" >&2; exit 1; }
        sleep 0.3
    done
    echo "after $(($(date +%s) - began)) s"
}

is_ready() { [ "$(kubectl get node "$1" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}')" = "$2" ]; }
running_elsewhere() {
    kubectl get pods -l app=web -o wide --no-headers | grep ' 1/1 ' | grep -v " $1 " | grep -vc Terminating || true
}
all_elsewhere() { [ "$(running_elsewhere "$1")" -eq 4 ]; }
containers() { docker ps -q --filter "label=io.wherry.cluster=$NAME" --filter "label=io.kubernetes.container.name=web" | wc -l; }
only_four() { [ "$(kubectl get pods -l app=web --no-headers | wc -l)" -eq 4 ] && [ "$(containers)" -eq 4 ]; }

tidy() {
    [ -z "${kubelet:-}" ] || kill -CONT "$kubelet" 2>/dev/null || true
    [ -n "${KEEP:-}" ] || { cluster down --purge && rmdir "${made:-/nowhere}" 2>/dev/null || true; }
}
trap tidy EXIT

say "two nodes; a dead one is noticed within 5 s, its pods are moved within 15 s"
cluster up --nodes 2 --node-loss fast ${PORT:+--port "$PORT"} --kubeconfig "$KUBECONFIG" >/dev/null
kubectl create deployment web --image=wherry/web:local --replicas=4
kubectl rollout status deployment/web --timeout=60s
node=$(kubectl get nodes -o jsonpath='{.items[1].metadata.name}')
kubectl get pods -o wide

say "node $node is cut off"
kubelet=$(cluster status | sed -n "s/^ *kubelet-$node  *pid \([0-9]*\),.*/\1/p")
kill -STOP "$kubelet"
echo "noticed:"
until_true 10 is_ready "$node" Unknown
echo "all four pods ready elsewhere, counted from then:"
until_true 15 all_elsewhere "$node"
kubectl get pods -o wide
echo "containers: $(containers), for the node that is cut off has not heard that its pods are deleted"

say "what happened, and which timers fired"
cluster timeline "node/$node"

say "the node returns"
kill -CONT "$kubelet"
until_true 15 is_ready "$node" True
echo "its old pods are gone; four pods and four containers are left:"
until_true 45 only_four
kubectl get pods -o wide
