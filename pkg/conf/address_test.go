package conf_test

import (
	"strings"
	"testing"

	"countersign.dev/pkg/conf"
)

func TestAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"127.0.0.1:8080": true, ":8080": true, "[::1]:0": true, "localhost:65535": true,
		"8080": false, "127.0.0.1": false, "127.0.0.1:": false, "127.0.0.1:http": false, "127.0.0.1:65536": false, "a:b:1": false, "": false,
	} {
		err := conf.Address("COUNTERSIGN_ADDR", text)
		if (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "COUNTERSIGN_ADDR: ") {
			t.Errorf("%q: %v does not name the variable", text, err)
		}
	}
}
