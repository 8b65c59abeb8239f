package compose_test

import (
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign.dev/services/e2e/stage"
)

// Every path, volume and service that docker-compose.yml names is there, and
// nothing is declared that nobody uses.
func TestEverythingNamedExists(t *testing.T) {
	t.Parallel()
	f := parse(t)
	used := map[string]bool{}
	for name, s := range f.Services {
		for _, path := range s.EnvFile {
			exists(t, name, path)
		}
		for _, mount := range s.Volumes {
			source, target, _ := strings.Cut(mount, ":")
			target, mode, _ := strings.Cut(target, ":")
			if !strings.HasPrefix(target, "/") || mode != "" && mode != "ro" {
				t.Errorf("%s: %q is no mount", name, mount)
			}
			if strings.HasPrefix(source, ".") {
				exists(t, name, source)
				continue
			}
			used[source] = true
			if _, ok := f.Volumes[source]; !ok {
				t.Errorf("%s mounts the volume %s, which is not declared", name, source)
			}
		}
		for other, on := range s.DependsOn {
			needed, ok := f.Services[other]
			if !ok {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
			switch on.Condition {
			case "service_healthy":
				if needed.Healthcheck == nil {
					t.Errorf("%s waits until %s is healthy, which nobody checks", name, other)
				}
			case "service_completed_successfully":
				if needed.Restart != "" {
					t.Errorf("%s waits for the end of %s, which is started again", name, other)
				}
			case "service_started":
			default:
				t.Errorf("%s waits for %s to be %q", name, other, on.Condition)
			}
		}
	}
	for volume := range f.Volumes {
		if !used[volume] {
			t.Errorf("nobody uses the volume %s", volume)
		}
	}
}

func exists(t *testing.T, who, path string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(stage.Root(t), filepath.FromSlash(path))); err != nil {
		t.Errorf("%s names %s, which is not there", who, path)
	}
}

// Images are named with a version, our own programs run without rights, and
// what is reachable from outside is so on this machine alone.
func TestContainersAreClosed(t *testing.T) {
	t.Parallel()
	f := parse(t)
	for name, s := range f.Services {
		_, tag, _ := strings.Cut(s.Image, ":")
		if s.Build == nil && (tag == "" || tag == "latest" || !strings.ContainsAny(tag, "0123456789")) {
			t.Errorf("%s runs the image %q, which names no version", name, s.Image)
		}
		if s.Build != nil && (!s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.SecurityOpt) != 1 || s.StopGracePeriod != "30s") {
			t.Errorf("%s has more rights than it needs, or less time to stop", name)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s is reachable on %s, from other machines too", name, port)
			}
		}
	}
	for _, worker := range []string{"sms", "email"} {
		if ports := f.Services[worker].Ports; len(ports) != 0 {
			t.Errorf("%s cannot be scaled with ports of its own: %v", worker, ports)
		}
	}
}

// A connection goes to a service that is there, on the port on which it
// listens, and names a host for which there is a certificate.
func TestConnectionsLeadSomewhere(t *testing.T) {
	t.Parallel()
	f, secrets := parse(t), newSecrets(t)
	listening := map[string]string{"postgres": "5432"} // the image's default
	for name, of := range map[string]string{"api": "COUNTERSIGN_ADDR", "fake-twilio": "FAKE_TWILIO_ADDR", "fake-smtp": "FAKE_SMTP_ADDR", "fake-breach": "FAKE_BREACH_ADDR"} {
		_, listening[name], _ = strings.Cut(f.Services[name].env(t, secrets)[of], ":")
	}
	for name, path := range map[string]string{"nats": "deployments/nats/nats.conf", "redis": "deployments/redis/redis.conf"} {
		match := regexp.MustCompile(`(?m)^(?:listen: "0\.0\.0\.0:|tls-port )([0-9]+)"?$`).FindStringSubmatch(read(t, path))
		if match == nil {
			t.Fatalf("%s does not say where it listens", path)
		}
		listening[name] = match[1]
	}
	certificates := f.Services["certs"].Command[3:]
	found := 0
	for name, s := range f.ours() {
		for variable, value := range s.env(t, secrets) {
			u, err := url.Parse(value)
			if err != nil || u.Host == "" {
				continue
			}
			found++
			if listening[u.Hostname()] != u.Port() {
				t.Errorf("%s: %s leads to %s, where nobody listens", name, variable, u.Host)
			}
			if !slices.Contains(certificates, u.Hostname()) {
				t.Errorf("%s: %s leads to %s, which has no certificate", name, variable, u.Host)
			}
			if slices.Contains([]string{"http", "redis", "nats"}, u.Scheme) {
				t.Errorf("%s: %s is plain text", name, variable)
			}
		}
		for _, port := range s.Ports {
			inside := port[strings.LastIndex(port, ":")+1:]
			if !slices.ContainsFunc(slices.Collect(maps.Values(s.env(t, secrets))), func(v string) bool { return v == "0.0.0.0:"+inside }) {
				t.Errorf("%s: %s is published, and nobody listens there", name, port)
			}
		}
	}
	mails := f.Services["email"].env(t, secrets)
	if host := mails["COUNTERSIGN_SMTP_HOST"]; listening[host] != mails["COUNTERSIGN_SMTP_PORT"] || !slices.Contains(certificates, host) {
		t.Errorf("mails go to %s:%s, where nobody listens with a certificate", host, mails["COUNTERSIGN_SMTP_PORT"])
	}
	if found < 10 {
		t.Errorf("%d connections were found", found)
	}
}

// Each command is one of the program, and each variable is known to whom it
// is given.
func TestCommandsAndVariablesAreKnown(t *testing.T) {
	t.Parallel()
	f, secrets := parse(t), newSecrets(t)
	for name, s := range f.ours() {
		env := s.env(t, secrets)
		if strings.HasPrefix(s.program(), "fake-") {
			usage := stage.Run(t, stage.Env(), s.program(), "-h")
			for variable := range env {
				if variable != "SSL_CERT_FILE" && !strings.Contains(usage.Stdout+usage.Stderr, "($"+variable+")") {
					t.Errorf("%s does not know %s", s.program(), variable)
				}
			}
			continue
		}
		if r := stage.Run(t, stage.Env(), "countersign", s.Command[0], "--help"); r.Code != 0 {
			t.Errorf("%s: there is no command %s: %s", name, s.Command[0], r.Stderr)
		}
		if name != "api" && name != "sms" && name != "email" {
			continue
		}
		r := stage.Run(t, environment(env), "countersign", s.Command[0], "--check-config")
		if r.Code != 0 {
			t.Errorf("%s: exit code %d: %s", name, r.Code, r.Stderr)
		}
		for variable := range env {
			if !strings.Contains(r.Stdout, variable+"=") {
				t.Errorf("%s is given %s, which is not its business", name, variable)
			}
		}
	}
	nats, roles := read(t, "deployments/nats/nats.conf"), read(t, "deployments/postgres/roles.sql")
	for variable := range f.Services["nats"].Environment {
		if !slices.Contains(words(nats), "$"+variable) {
			t.Errorf("nats is given %s, which nats.conf does not use", variable)
		}
	}
	for variable := range f.Services["postgres"].Environment {
		if variable != "POSTGRES_DB" && variable != "POSTGRES_PASSWORD" && !slices.Contains(words(roles), variable) {
			t.Errorf("postgres is given %s, which roles.sql does not use", variable)
		}
	}
}

// No secret has a default, none is in the tree, and nothing starts without
// them.
func TestSecretsHaveNoDefault(t *testing.T) {
	t.Parallel()
	example := settings(t, read(t, "deployments/config/secrets.env.example"))
	needed := map[string]bool{}
	for _, match := range variable.FindAllStringSubmatch(read(t, "docker-compose.yml"), -1) {
		if match[1] == "" {
			continue
		}
		needed[match[1]] = true
		if _, err := interpolate(match[0], nil); err == nil {
			t.Errorf("%s has a default", match[0])
		}
	}
	for name, value := range example {
		if value != "" {
			t.Errorf("secrets.env.example has a value for %s", name)
		}
		if !needed[name] {
			t.Errorf("secrets.env.example lists %s, which docker-compose.yml does not use", name)
		}
	}
	for name := range needed {
		if _, ok := example[name]; !ok {
			t.Errorf("secrets.env.example does not list %s", name)
		}
	}
	for _, path := range []string{"api.env", "sms.env", "email.env", "fake-twilio.env", "fake-smtp.env", "fake-breach.env"} {
		for name, value := range settings(t, read(t, "deployments/config/"+path)) {
			if regexp.MustCompile(`PASSWORD|SECRET|TOKEN|_KEYS?$`).MatchString(name) && !strings.HasPrefix(value, "/certs/") {
				t.Errorf("%s holds %s", path, name)
			}
		}
	}
	if !hasLine(read(t, ".gitignore"), "/.env") {
		t.Error("git does not ignore .env, where the secrets are")
	}
}

// The script writes every secret, new each time, for its owner alone, and
// never in place of old ones.
func TestMakeSecrets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), ".env")
	makeSecrets(t, path)
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	made := settings(t, string(first))
	for name := range settings(t, read(t, "deployments/config/secrets.env.example")) {
		if len(made[name]) < 40 {
			t.Errorf("%s is %q", name, made[name])
		}
	}
	seen := map[string]string{}
	for name, value := range made {
		if other, twice := seen[value]; twice {
			t.Errorf("%s and %s are the same", name, other)
		}
		seen[value] = name
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is readable for others: %v, %v", info.Mode(), err)
	}
	makeSecrets(t, path)
	if again, err := os.ReadFile(path); err != nil || string(again) != string(first) {
		t.Errorf("the second run changed the secrets: %v", err)
	}
	for name, value := range newSecrets(t) {
		if made[name] == value {
			t.Errorf("another installation has the same %s", name)
		}
	}
}

func makeSecrets(tb testing.TB, path string) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "sh", "deployments/config/make-secrets.sh", path)
	cmd.Dir = stage.Root(tb)
	cmd.Env = stage.Env("COUNTERSIGN=" + stage.Program(tb, "countersign"))
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("make-secrets.sh: %v\n%s", err, out)
	}
}
