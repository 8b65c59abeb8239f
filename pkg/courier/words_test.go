package courier

import (
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/event"
)

// counted counts messages in our words.
type counted struct {
	nobody
	fell []string
}

func (c *counted) Fell(provider string) { c.fell = append(c.fell, provider) }

var _ Observer = (*counted)(nil)

// A message in our words in place of an organization's own goes out, and is
// counted and told, once for each try.
func TestWordsThatCouldNotBeUsedAreTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	seen := &counted{}
	b.Observe = seen
	b.Compose = func(r event.Requested, content []byte) (Message, error) {
		m, err := compose(r, content)
		m.Stock = r.DeliveryID == "d2"
		return m, err
	}
	for _, id := range []string{"d1", "d2"} {
		r := b.request(id)
		b.clock.pass(time.Second)
		if got := b.handle(r); got != "ack" {
			t.Fatalf("%s: %s", id, got)
		}
	}
	if len(b.provider.list()) != 2 || len(seen.fell) != 1 || seen.fell[0] != "fake" {
		t.Errorf("%d messages, %q fell back", len(b.provider.list()), seen.fell)
	}
	const line = "an organization's own words could not be used"
	if log := b.log.String(); strings.Count(log, line) != 1 || !strings.Contains(log, `"delivery_id":"d2","org_id":"org_1"`) {
		t.Errorf("log %s", log)
	}
}
