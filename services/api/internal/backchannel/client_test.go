package backchannel_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/backchannel"
)

// Outside the sandbox nothing is sent to what is in no public network, whatever
// its name; inside, this machine is fine and a cloud's metadata is not.
// Covers R-150 for where logout tokens are sent.
func TestLogoutTokensGoNowhereInside(t *testing.T) {
	t.Parallel()
	reached := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer server.Close()
	local := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	c := backchannel.NewClient()
	for _, uri := range []string{server.URL, local, "https://10.0.0.1/", "https://192.168.1.1/", "https://169.254.169.254/", "https://[::1]/",
		"https://[fd00::1]/", "https://[::ffff:10.0.0.1]/", "https://0.0.0.0/", "https://[64:ff9b::a00:1]/"} {
		if err := c.Post(t.Context(), backchannel.Target{URI: uri}, secret.New("x")); err == nil || !strings.Contains(err.Error(), "no public network") {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for _, uri := range []string{"http://169.254.169.254/", "https://100.100.100.200/", "https://[fd00:ec2::254]/", "https://[fd20:ce::254]/"} {
		if err := c.Post(t.Context(), backchannel.Target{URI: uri, Near: true}, secret.New("x")); err == nil || !strings.Contains(err.Error(), "no public network") {
			t.Errorf("metadata at %s: %v", uri, err)
		}
	}
	if reached != 0 {
		t.Errorf("the server was reached %d times", reached)
	}
	if err := c.Post(t.Context(), backchannel.Target{URI: local, Near: true}, secret.New("x")); err != nil || reached != 1 {
		t.Errorf("in the sandbox: %v, reached %d times", err, reached)
	}
}
