package conf

import (
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// fileLimit bounds a file that holds a value, in bytes. Keys and certificates
// are far below; a device or a log named by accident is not.
const fileLimit = 1 << 20

// environment holds the variables that start with Prefix and are not empty.
type environment struct {
	values map[string]string
	files  map[string]fileValue // what a _FILE variable was found to hold
}

type fileValue struct {
	text string
	err  error
}

func readEnviron(environ []string) (environment, []Mistake) {
	in := environment{values: map[string]string{}, files: map[string]fileValue{}}
	var mistakes []Mistake
	seen := map[string]string{}
	for _, entry := range environ {
		key, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(key, Prefix) {
			continue
		}
		if before, twice := seen[key]; twice && before != value {
			mistakes = append(mistakes, Mistake{key, "is in the environment twice with different values: remove one"})
		}
		seen[key] = value
		if value != "" {
			in.values[key] = value
		}
	}
	return in, mistakes
}

// value returns the text of a field's variable, "" when it is not set.
func (in environment) value(f field) (string, *Mistake) {
	value, file := in.values[f.key], in.values[f.key+fileSuffix]
	if injectedPort(f.key, value) {
		return "", &Mistake{f.key, "holds what Kubernetes sets for a Service of this name: set enableServiceLinks: false in the pod, or rename the Service"}
	}
	if file != "" {
		if value != "" {
			return "", &Mistake{f.key, "is set, and so is " + f.key + fileSuffix + ": remove one of the two"}
		}
		text, err := in.readFile(file)
		if err != nil {
			return "", &Mistake{f.key + fileSuffix, "the file cannot be read (" + reason(err) + "): name a file that this process may read"}
		}
		value = text
	}
	if f.Type.Kind() == reflect.Slice {
		separator := f.Tag.Get("envSeparator")
		if separator == "" {
			separator = ","
		}
		parts := strings.Split(value, separator)
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		value = strings.Join(parts, separator)
	}
	return value, nil
}

// readFile reads a file once, so that a pipe can be named as well.
func (in environment) readFile(name string) (string, error) {
	if known, ok := in.files[name]; ok {
		return known.text, known.err
	}
	text, err := readFile(name)
	in.files[name] = fileValue{text, err}
	return text, err
}

func readFile(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	body, err := io.ReadAll(io.LimitReader(file, fileLimit+1))
	if err != nil {
		return "", err
	}
	if len(body) > fileLimit {
		return "", errors.New("it is larger than 1 MiB")
	}
	text := strings.TrimSuffix(string(body), "\n")
	return strings.TrimSuffix(text, "\r"), nil
}

// reason leaves out the name of the file: whoever puts the secret itself into
// the _FILE variable must not find it in a log.
func reason(err error) string {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err.Error()
	}
	return err.Error()
}

// unknown finds the variables that nobody reads.
func (in environment) unknown(fields []field, known []Key) []Mistake {
	var names []string
	for _, f := range fields {
		names = append(names, f.key, f.key+fileSuffix)
	}
	own := len(names)
	for _, key := range known {
		names = append(names, key.Name, key.Name+fileSuffix)
	}
	var out []Mistake
	for key, value := range in.values {
		if slices.Contains(names, key) || isClients(key) || isKubernetes(key, value) {
			continue
		}
		text := "is not a setting: remove it"
		if near := nearest(key, names[:own]); near != "" {
			text = "is not a setting: did you mean " + near + "?"
		}
		out = append(out, Mistake{key, text})
	}
	slices.SortFunc(out, func(a, b Mistake) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// isClients reports whether programs that call the service use the variable.
// They often share its environment: examples, the demo, the tests of an app.
func isClients(key string) bool {
	name := strings.TrimPrefix(key, Prefix)
	names := []string{"URL", "ACCOUNT", "ORG", "USER_ID", "CLIENT_ID", "CLIENT_SECRET", "DEMO_URL"}
	return slices.Contains(names, name) || strings.HasPrefix(name, "APP_")
}

var (
	serviceHost = regexp.MustCompile(`(^|_)SERVICE_HOST$`)
	servicePort = regexp.MustCompile(`(^|_)SERVICE_PORT(_[A-Z0-9_]+)?$`)
	portURL     = regexp.MustCompile(`(^|_)PORT(_[0-9]+_(TCP|UDP|SCTP))?$`)
	portPart    = regexp.MustCompile(`(^|_)PORT_[0-9]+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)$`)
	portValue   = regexp.MustCompile(`^(tcp|udp|sctp)://[0-9a-f.:\[\]]+:[0-9]+$`)
)

// isKubernetes reports whether a variable is one that Kubernetes sets in every
// pod for each Service whose name starts with countersign. The value has to
// look like it too, so that a misspelt setting that ends in _PORT is noticed.
func isKubernetes(key, value string) bool {
	name := strings.TrimPrefix(key, Prefix)
	_, ipErr := netip.ParseAddr(value)
	_, portErr := strconv.ParseUint(value, 10, 16)
	switch {
	case serviceHost.MatchString(name):
		return ipErr == nil
	case servicePort.MatchString(name):
		return portErr == nil
	case portPart.MatchString(name):
		return ipErr == nil || portErr == nil || value == "tcp" || value == "udp" || value == "sctp"
	}
	return injectedPort(key, value)
}

func injectedPort(key, value string) bool {
	return portURL.MatchString(strings.TrimPrefix(key, Prefix)) && portValue.MatchString(value)
}

// nearest returns the name that key was probably meant to be, "" for none.
func nearest(key string, names []string) string {
	key = strings.TrimPrefix(key, Prefix)
	best, least := "", max(2, len(key)/4)+1
	for _, name := range names {
		if d := distance(key, strings.TrimPrefix(name, Prefix)); d < least && d < len(key) {
			best, least = name, d
		}
	}
	return best
}

// distance counts the letters to insert, drop, change or swap with their
// neighbour to make b from a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
