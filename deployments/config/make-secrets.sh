#!/bin/sh
# Writes the secrets of docker-compose.yml, new and random, where compose looks
# for them: .env beside it, or the file that is named. Secrets that are there
# already are kept.
#
#   sh deployments/config/make-secrets.sh
#   COUNTERSIGN='docker run --rm countersign' sh deployments/config/make-secrets.sh   # without Go
set -eu

file=${1:-.env}
countersign=${COUNTERSIGN:-go run ./services/countersign/cmd/countersign}

if [ -e "$file" ]; then
	echo "$file exists; its secrets are kept."
	exit 0
fi

# 192 random bits. The letter in front keeps every reader from taking it for a
# number.
password() {
	echo "s$(od -An -v -N 24 -t x1 /dev/urandom | tr -d ' \n')"
}

umask 077
{
	$countersign keygen
	for name in POSTGRES_PASSWORD POSTGRES_OWNER_PASSWORD POSTGRES_API_PASSWORD \
		REDIS_API_PASSWORD REDIS_SMS_PASSWORD REDIS_EMAIL_PASSWORD \
		NATS_API_PASSWORD NATS_SMS_PASSWORD NATS_EMAIL_PASSWORD NATS_OPERATOR_PASSWORD \
		TWILIO_AUTH_TOKEN SMTP_PASSWORD; do
		echo "$name=$(password)"
	done
} >"$file.new"
mv "$file.new" "$file"
echo "$file holds new secrets. Keep it: what is sealed with them opens with nothing else."
