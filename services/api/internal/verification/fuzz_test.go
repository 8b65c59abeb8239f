package verification_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Whatever is sent to a path of this edge is answered or refused in the
// envelope, and what was not set does not reach the rules.
//
// Covers R-131 for the input of the verification flow.
func FuzzInput(f *testing.F) {
	e := newEdge(f)
	f.Add(uint8(10), true, `{"exchange_id":"x","passcode":"123456"}`, "")
	f.Add(uint8(16), false, "requestId=r&status_id=s&q=undefined", "undefined")
	f.Fuzz(func(t *testing.T, of uint8, json bool, body, header string) {
		route := e.table[int(of)%len(e.table)]
		path := strings.NewReplacer("{method}", "TOTP", "{request_id}", "request01", "{track_id}", "track0001", "{status_id}", "status01", "{medium}", "f1").Replace(route.Path)
		kind := asForm
		if json {
			kind = asJSON
		}
		r := e.send(t, route.Method, path, kind, body, "Authorization", "Bearer "+userToken, "requestId", header, "trackId", header)
		switch {
		case r.Code >= http.StatusInternalServerError, r.Code == http.StatusUnprocessableEntity, r.Code == http.StatusNotFound:
			t.Fatalf("%s %q: %d %s", path, body, r.Code, r.Body)
		case r.Code == http.StatusOK && r.body["success"] != true:
			t.Fatalf("%s %q: %s", path, body, r.Body)
		case r.Code >= http.StatusBadRequest:
			wantEnvelope(t, r)
		}
		for _, asked := range e.asked {
			for _, text := range texts(reflect.ValueOf(asked)) {
				if slices.Contains([]string{"undefined", "null"}, text) {
					t.Fatalf("%s %q: asked %v", path, body, e.asked)
				}
			}
		}
	})
}

// texts are the texts of a value and of its fields.
func texts(v reflect.Value) (out []string) {
	switch v.Kind() {
	case reflect.String:
		return []string{v.String()}
	case reflect.Struct:
		for _, field := range v.Fields() {
			out = append(out, texts(field)...)
		}
	}
	return out
}
