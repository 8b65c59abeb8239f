package verification

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign.dev/pkg/fault"
)

var row = regexp.MustCompile("^\\| `((?:VER|PUB)[_0-9]+)` \\| ([0-9]+) \\| ([^|]*) \\|")

// The page for app developers has the table of codes as it is. It lies outside
// of this module, so the test cache does not know of it.
func TestTheTableOfCodesIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../../docs/verification.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	ofKinds := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		cells := row.FindStringSubmatch(line)
		if cells == nil {
			continue
		}
		ofKinds[cells[1]] = true
		for _, name := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(cells[3], -1) {
			documented[name[1]] = cells[1]
		}
	}
	if !maps.Equal(documented, codes) {
		for _, code := range slices.Sorted(maps.Keys(codes)) {
			if documented[code] != codes[code] {
				t.Errorf("docs/verification.md has %q for %s, which is %s", documented[code], code, codes[code])
			}
		}
		for code := range documented {
			if codes[code] == "" {
				t.Errorf("docs/verification.md lists %s, which has no code of the contract", code)
			}
		}
	}
	for _, code := range append(slices.Sorted(maps.Values(kinds)), publicID, publicOther) {
		if !ofKinds[code] {
			t.Errorf("docs/verification.md has no %s", code)
		}
	}
}

func TestFaultsInTheEnvelope(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		path   string
		status int
		code   string
		says   string
	}{
		"one of the table":   {fault.New(fault.Malformed, "code_not_valid", "Wrong."), "/x", 400, "VER_0041", "Wrong."},
		"a bad value":        {fault.New(fault.Invalid, "number_not_allowed", "No."), "/x", 400, "VER_0026", "No."},
		"a conflict":         {fault.New(fault.Conflict, "already_enrolled", "There."), "/x", 409, "VER_0029", "There."},
		"by its kind":        {fault.New(fault.Forbidden, "reauthentication_required", "Again."), "/x", 403, "VER_0403", "Again."},
		"limits":             {fault.New(fault.Limited, "too_many_attempts", "Wait."), "/x", 429, "VER_0429", "Wait."},
		"an outage":          {fault.New(fault.Unavailable, "state_unavailable", "Down."), "/x", 503, "VER_0503", "Down."},
		"a path":             {fault.New(fault.NotFound, "not_found", "None."), "/x", 404, "VER_0404", "None."},
		"a public id":        {fault.New(fault.Malformed, "request_id_not_valid", "No."), "/public-srv/public/x", 400, "PUB10002", "No."},
		"public, otherwise":  {fault.New(fault.Malformed, "malformed_body", "No."), "/public-srv/public/x", 400, "PUB10001", "No."},
		"missing of a reset": {fault.New(fault.Invalid, "missing_parameter", "No."), "/users-srv/resetpassword/accept", 417, "VER_0005", "No."},
		"bad of a reset":     {fault.New(fault.Invalid, "password_too_weak", "No."), "/password-srv/resetpassword", 400, "VER_0005", "No."},
		"public, limited":    {fault.New(fault.Limited, "rate_limited", "No."), "/public-srv/public/x", 429, "VER_0429", "No."},
		"ours":               {http.ErrHandlerTimeout, "/x", 500, "VER_0500", "on our side"},
		"an internal fault":  {fault.New(fault.Internal, "row_missing", "canary"), "/x", 500, "VER_0500", "on our side"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			WriteFault(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, c.path, http.NoBody), c.err)
			body := w.Body.String()
			if w.Code != c.status || !strings.Contains(body, `"code":"`+c.code+`"`) || !strings.Contains(body, c.says) || strings.Contains(body, "canary") {
				t.Errorf("%d %s", w.Code, body)
			}
			if waits := w.Header().Get("Retry-After") != ""; waits != (c.status == 429 || c.status == 503) {
				t.Errorf("%d says when to come back: %v", w.Code, waits)
			}
		})
	}
}
