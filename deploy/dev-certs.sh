#!/usr/bin/env bash
# Certificates for development: one authority, and for each name a certificate that serves and calls. Not for clusters: there
# cert-manager makes them (k8s/). Run it again to renew the certificates; the authority stays, unless its folder is removed.
#
#   deploy/dev-certs.sh DIR [NAME...]      default names: coordinator search inference sae fm cli
#
# Writes DIR/ca.crt, DIR/ca.key, and DIR/NAME/{tls.crt,tls.key,ca.crt} (the names of a Kubernetes TLS secret). Needs openssl.
set -euo pipefail
umask 077

if [ $# -lt 1 ]; then
  sed -n '2,7p' "$0" | sed 's/^# \{0,1\}//' >&2
  exit 2
fi
dir="$1"
shift
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(coordinator search inference sae fm cli)
days="${DAYS:-30}"
mkdir -p "$dir"

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

if [ ! -s "$dir/ca.crt" ]; then
  new_key "$dir/ca.key"
  openssl req -x509 -new -key "$dir/ca.key" -sha256 -days 365 -subj "/CN=refusalscope development" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" -out "$dir/ca.crt"
fi

for name in "${names[@]}"; do
  [[ "$name" =~ ^[a-z][a-z0-9-]{0,62}$ ]] || { echo "$name is no service name: lower-case letters, digits and -" >&2; exit 2; }
  mkdir -p "$dir/$name"
  new="$(mktemp -d "$dir/$name/.new.XXXXXX")"
  new_key "$new/tls.key"
  openssl req -new -key "$new/tls.key" -subj "/CN=$name" -out "$new/tls.csr"
  # The URI is the identity that other services trust; the names are those that callers dial.
  cat >"$new/extensions" <<EXTENSIONS
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=URI:spiffe://refusalscope/service/$name,DNS:$name,DNS:localhost,IP:127.0.0.1,IP:::1
EXTENSIONS
  openssl x509 -req -in "$new/tls.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -sha256 -days "$days" \
    -extfile "$new/extensions" -out "$new/tls.crt" 2>/dev/null
  cp "$dir/ca.crt" "$new/ca.crt"
  rm "$new/tls.csr" "$new/extensions"
  mv "$new"/* "$dir/$name/"
  rmdir "$new"
  echo "$dir/$name: valid for $days days"
done
