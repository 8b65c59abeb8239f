package flow_test

import (
	"net/url"
	"reflect"
	"testing"

	"countersign.dev/services/api/internal/flow"
)

func TestAWayLeadsBackToItsApp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		way  flow.Way
		want string
	}{
		"a query":                      {flow.Way{URI: "https://app.test/back", Mode: flow.Query, State: "s"}, "https://app.test/back?code=a%26b&iss=https%3A%2F%2Flogin.test&state=s"},
		"no mode":                      {flow.Way{URI: "https://app.test/back", State: "s"}, "https://app.test/back?code=a%26b&iss=https%3A%2F%2Flogin.test&state=s"},
		"no state":                     {flow.Way{URI: "https://app.test/back"}, "https://app.test/back?code=a%26b&iss=https%3A%2F%2Flogin.test"},
		"a state of signs":             {flow.Way{URI: "https://app.test/", State: "&iss=x#"}, "https://app.test/?code=a%26b&iss=https%3A%2F%2Flogin.test&state=%26iss%3Dx%23"},
		"a query of the app's":         {flow.Way{URI: "https://app.test/back?x=1&y=%20", State: "s"}, "https://app.test/back?code=a%26b&iss=https%3A%2F%2Flogin.test&state=s&x=1&y=+"},
		"a query that says the same":   {flow.Way{URI: "https://app.test/back?state=old&code=old&iss=old", State: "s"}, "https://app.test/back?code=a%26b&iss=https%3A%2F%2Flogin.test&state=s"},
		"a fragment":                   {flow.Way{URI: "https://app.test/back", Mode: flow.Fragment, State: "s"}, "https://app.test/back#code=a%26b&iss=https%3A%2F%2Flogin.test&state=s"},
		"a fragment after a query":     {flow.Way{URI: "https://app.test/back?x=1&y=%20", Mode: flow.Fragment}, "https://app.test/back?x=1&y=%20#code=a%26b&iss=https%3A%2F%2Flogin.test"},
		"an app's own scheme":          {flow.Way{URI: "com.example.app:/back", State: "s"}, "com.example.app:/back?code=a%26b&iss=https%3A%2F%2Flogin.test&state=s"},
		"an app on this machine":       {flow.Way{URI: "http://127.0.0.1:3000/back", State: "s"}, "http://127.0.0.1:3000/back?code=a%26b&iss=https%3A%2F%2Flogin.test&state=s"},
		"a path that holds an escape":  {flow.Way{URI: "https://app.test/a%2Fb"}, "https://app.test/a%2Fb?code=a%26b&iss=https%3A%2F%2Flogin.test"},
		"the same with a fragment":     {flow.Way{URI: "https://app.test/a%2Fb", Mode: flow.Fragment}, "https://app.test/a%2Fb#code=a%26b&iss=https%3A%2F%2Flogin.test"},
		"a host of another alphabet":   {flow.Way{URI: "https://xn--bcher-kva.test/"}, "https://xn--bcher-kva.test/?code=a%26b&iss=https%3A%2F%2Flogin.test"},
		"no path behind the host":      {flow.Way{URI: "https://app.test"}, "https://app.test?code=a%26b&iss=https%3A%2F%2Flogin.test"},
		"a value that is given thrice": {flow.Way{URI: "https://app.test/?code=1&code=2"}, "https://app.test/?code=a%26b&iss=https%3A%2F%2Flogin.test"},
	} {
		c.way.Issuer = "https://login.test"
		values := url.Values{"code": {"a&b"}}
		got, err := c.way.With(values)
		if err != nil || got.Reveal() != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got.Reveal(), err, c.want)
		}
		if !reflect.DeepEqual(values, url.Values{"code": {"a&b"}}) {
			t.Errorf("%s: the values have become %v", name, values)
		}
	}
	if got, err := (flow.Way{URI: "https://app.test/%"}).With(nil); err == nil || !got.IsZero() {
		t.Error("what is no address leads somewhere")
	}
}
