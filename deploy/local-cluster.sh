#!/usr/bin/env bash
# Runs what an overlay of k8s/ renders, without a cluster: one process a container with exactly its rendered environment (addresses moved to
# loopback, volumes to folders), a real nats-server, probes asked as the kubelet asks them, and one small audit through it all.
#   deploy/local-cluster.sh [dev|cpu] [--no-audit] [--pods N] [--kill filter|verify]
# --pods: pods of inference, as the autoscaler might have set them (1). --kill: kill -9 of the first of them in that stage (filter works by
# the queue and needs overlay cpu, verify by calls alone), and its start again, as the kubelet does; the audit must end all the same.
# Stops everything at its end, at Ctrl-C, and after LOCAL_CLUSTER_LIMIT_S seconds (900).
set -euo pipefail
cd "$(dirname "$0")/.."
command -v kubectl >/dev/null || { echo "kubectl is needed to render the manifests" >&2; exit 1; }
npm run -s build
exec node dist/test/integration/deploy/local-cluster.js "$@"
