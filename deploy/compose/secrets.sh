#!/bin/sh
# Makes what is missing in the folder secrets beside this file: passwords, the two keys that are not in the database, and a certificate
# that nobody signed. What is there stays. Only its owner reaches the folder; the containers, whose accounts are others, read the single
# files that they are given. Back the two keys up apart from the database.
set -eu
cd "$(dirname "$0")"
umask 022
mkdir -p secrets
chmod 700 secrets
cd secrets
# make NAME COMMAND…: a file with what the command prints, whole or not at all
make() {
	name=$1
	shift
	[ -s "$name" ] && return
	"$@" >"$name.new"
	mv "$name.new" "$name"
	echo "secrets/$name is new"
}
acl() { printf 'user default off\nuser remit on #%s ~* &* +@all -@admin -@dangerous +info\n' "$(tr -d '\n' <redis_password | sha256sum | cut -d ' ' -f 1)"; }
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 90 -subj /CN=localhost \
		-addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -keyout tls.key -out tls.crt 2>/dev/null
	cat tls.crt tls.key
	rm tls.crt tls.key
}
make postgres_password openssl rand -hex 32
make redis_password openssl rand -hex 32
make redis_users.acl acl
make secret_key openssl rand -base64 32
make audit_key ${REMIT:-docker run --rm --network none remit} audit key --new
make tls.pem certificate
