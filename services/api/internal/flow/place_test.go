package flow_test

import (
	"errors"
	"testing"
	"time"

	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/id"
)

// Where a sign-in began is known for longer than it lives, whatever it came to.
// Whose pages it had is told to its own browser alone.
func TestWhereASignInBeganOutlivesIt(t *testing.T) {
	t.Parallel()
	v := visits(t, anyMethod)
	v.apps[anyMethod].InitiateURI = "https://app.example/login"
	stranger := flow.Browser{Cookie: id.Token()}
	if _, err := v.Look(t.Context(), v.flow, stranger); !errors.Is(err, flow.ErrOver) {
		t.Fatalf("another browser sees the page: %v", err)
	}
	for _, passed := range []time.Duration{0, flow.Life + time.Second, time.Hour} {
		v.now = v.now.Add(passed)
		if _, err := v.Look(t.Context(), v.flow, v.sends); !errors.Is(err, flow.ErrOver) {
			t.Fatalf("it is not over: %v", err)
		}
		own, err := v.Place(t.Context(), v.flow, v.sends)
		v.must(err)
		if own.Again != "https://app.example/login" || own.Org.Domain != acme || own.Own {
			t.Errorf("its browser is told %+v", own)
		}
		for name, b := range map[string]flow.Browser{"another browser": stranger, "one without a cookie": {}} {
			other, err := v.Place(t.Context(), v.flow, b)
			v.must(err)
			if other.Again != own.Again || other.Org.ID != "" {
				t.Errorf("%s is told %+v", name, other)
			}
		}
	}
	if _, err := v.Place(t.Context(), id.Token(), v.sends); !errors.Is(err, flow.ErrOver) {
		t.Errorf("of no sign-in: %v", err)
	}
	v.apps[anyMethod].Active = false
	if _, err := v.Place(t.Context(), v.flow, v.sends); !errors.Is(err, flow.ErrClient) {
		t.Errorf("of an app that is off: %v", err)
	}
	v.apps[anyMethod].Active = true
	v.now = v.now.Add(time.Hour)
	if _, err := v.Place(t.Context(), v.flow, v.sends); !errors.Is(err, flow.ErrOver) {
		t.Errorf("hours later: %v", err)
	}
}
