package logs

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"countersign.dev/pkg/secret"
)

const redacted = "***"

// endings are the last words of keys whose values are never shown. They match
// without a separator before them too: accesstoken, usercode.
var endings = []string{
	"code", "token", "secret", "password", "authorization", "cookie", "phone", "phone_number", "phonenumber", "email",
	"passwd", "passphrase", "credential", "api_key", "apikey", "private_key", "dsn", "otp",
}

// words are matched only as the whole last word: to is in mail_to and sendTo,
// but not in proto.
var words = []string{"to", "link", "pin"}

// sensitive reports whether a value under this key must not be shown.
func sensitive(key string) bool {
	lower := strings.ToLower(strings.TrimRight(key, " \t\r\n"))
	lower = strings.ReplaceAll(lower, "-", "_")
	singular := strings.TrimSuffix(lower, "s")
	for _, ending := range endings {
		if strings.HasSuffix(lower, ending) || strings.HasSuffix(singular, ending) {
			return true
		}
	}
	for _, word := range words {
		if isLastWord(key, lower, word) || isLastWord(key, singular, word) {
			return true
		}
	}
	return false
}

func isLastWord(key, lower, word string) bool {
	rest, ok := strings.CutSuffix(lower, word)
	if !ok {
		return false
	}
	if rest == "" {
		return true
	}
	before := rune(rest[len(rest)-1])
	camel := len(rest) < len(key) && unicode.IsUpper(rune(key[len(rest)]))
	return camel || !unicode.IsLetter(before)
}

// replace is the net: slog calls it for every attribute that is not a group.
func replace(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) == 0 && attr.Key == slog.TimeKey && attr.Value.Kind() == slog.KindTime {
		return slog.Time(attr.Key, attr.Value.Time().UTC())
	}
	if sensitive(attr.Key) || slices.ContainsFunc(groups, sensitive) {
		return slog.String(attr.Key, redacted)
	}
	switch attr.Value.Kind() {
	case slog.KindString:
		return slog.String(attr.Key, scrub(attr.Value.String()))
	case slog.KindAny:
		return slog.Any(attr.Key, replaceAny(attr.Value.Any()))
	}
	return attr
}

// replaceAny turns a value that is no plain slog kind into text, or into plain
// maps and lists whose keys were looked at as well.
func replaceAny(value any) any {
	switch v := value.(type) {
	case nil, slog.Level:
		return value
	case error:
		return scrub(textOf(v.Error))
	case fmt.Stringer:
		return scrub(textOf(v.String))
	case []byte:
		return fmt.Sprintf("%d bytes", len(v))
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			return redacted
		}
		return scrub(string(text))
	}
	return plain(value)
}

// textOf calls a method that may panic on a nil receiver, which must not cost
// the log line.
func textOf(method func() string) (text string) {
	defer func() {
		if recover() != nil {
			text = "<nil>"
		}
	}()
	return method()
}

// plain goes through JSON, so that keys are seen as a reader would see them.
func plain(value any) any {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("a value of type %T", value)
	}
	var out any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&out); err != nil {
		return fmt.Sprintf("a value of type %T", value)
	}
	return walk(out)
}

func walk(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, inner := range v {
			if sensitive(key) {
				inner = redacted
			}
			out[scrub(key)] = walk(inner)
		}
		return out
	case []any:
		for i, inner := range v {
			v[i] = walk(inner)
		}
	case string:
		return scrub(v)
	}
	return value
}

var (
	userinfo = regexp.MustCompile(`://[^\s/?#]*@`)
	setting  = regexp.MustCompile(`([A-Za-z0-9_.-]+)=('[^']*'|"[^"]*"|[^\s&"']+)`)
	address  = regexp.MustCompile(`[^\s<>"'(),:;=&?/\[\]]+(?:@|%40)[^\s<>"'(),:;=&?/\[\]]+`)
	number   = regexp.MustCompile(`(?:\+|%2[bB])([0-9]{7,15})`)
)

// scrub masks what other people's errors like to repeat: the address a relay
// refused, the number a provider did not like, the URL that was dialled with
// the credentials and query parameters in it.
func scrub(text string) string {
	at := strings.Contains(text, "@")
	if at {
		text = userinfo.ReplaceAllLiteralString(text, "://"+redacted+"@")
	}
	if strings.Contains(text, "=") {
		text = setting.ReplaceAllStringFunc(text, maskSetting)
	}
	if at || strings.Contains(text, "%40") {
		text = address.ReplaceAllStringFunc(text, maskAddress)
	}
	if strings.ContainsAny(text, "+%") {
		text = number.ReplaceAllStringFunc(text, func(match string) string {
			return secret.MaskPhone("+" + number.FindStringSubmatch(match)[1])
		})
	}
	return text
}

func maskSetting(match string) string {
	key, _, _ := strings.Cut(match, "=")
	if sensitive(key) {
		return key + "=" + redacted
	}
	return match
}

func maskAddress(match string) string {
	if strings.HasPrefix(match, redacted+"@") {
		return match // the host after a credential that is gone already
	}
	plain, err := url.PathUnescape(match)
	if err != nil {
		return redacted
	}
	return secret.MaskEmail(strings.Trim(plain, ".!"))
}

// oneLine keeps a record on its one line for every reader. slog escapes ASCII
// control characters; the C1 range (NEL, CSI) passes its JSON handler, and
// some readers take NEL for a line break.
type oneLine struct{ io.Writer }

func (w oneLine) Write(line []byte) (int, error) {
	if bytes.IndexByte(line, 0xc2) < 0 {
		return w.Writer.Write(line)
	}
	out := make([]byte, 0, len(line)+16)
	for i := 0; i < len(line); i++ {
		if line[i] == 0xc2 && i+1 < len(line) && line[i+1] >= 0x80 && line[i+1] <= 0x9f {
			out = fmt.Appendf(out, `\u%04x`, line[i+1])
			i++
			continue
		}
		out = append(out, line[i])
	}
	if _, err := w.Writer.Write(out); err != nil {
		return 0, err
	}
	return len(line), nil
}
