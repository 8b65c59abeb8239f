// Package compose holds the tests of docker-compose.yml and of what it names:
// the Dockerfile, the configuration of NATS, Redis and Postgres, the settings
// and the secrets.
//
// There is nothing here to call. No container engine is needed: every program
// is started here with exactly the configuration that compose would give it.
// Only names of hosts, ports and paths inside of containers are replaced.
package compose
