package claim_test

import (
	"strconv"
	"sync"
	"testing"

	"countersign.dev/pkg/claim"
)

const (
	takers = 32
	rounds = 100
)

// together runs f n times at once and waits for all.
func together(n int, f func(i int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	group.Wait()
}

// race lets many take the same delivery and returns the one that may send.
func (b bench) race(deliveryID string) claim.Claim {
	b.Helper()
	var mu sync.Mutex
	found := map[claim.State]int{}
	var winner claim.Claim
	together(takers, func(int) {
		c, err := b.Take(b.Context(), deliveryID, lease)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Error(err)
			return
		}
		found[c.State]++
		if c.State == claim.Taken {
			winner = c
		}
	})
	if found[claim.Taken] != 1 || found[claim.Busy] != takers-1 {
		b.Fatalf("%s: found %v", deliveryID, found)
	}
	return winner
}

func TestOneOfManyTakes(t *testing.T) {
	onBoth(t, func(b bench) {
		for round := range rounds {
			deliveryID := "dlv_" + strconv.Itoa(round)
			b.ok(b.Open(b.Context(), deliveryID, b.clock.Now().Add(life)))
			if c := b.race(deliveryID); c.Attempt != 1 || c.Sends != 1 {
				b.Fatalf("%s: got %+v", deliveryID, c)
			}
		}
	})
}

func TestOneOfManyTakesADeadLeaseOver(t *testing.T) {
	onBoth(t, func(b bench) {
		for round := range rounds {
			deliveryID := "dlv_" + strconv.Itoa(round)
			b.ok(b.Open(b.Context(), deliveryID, b.clock.Now().Add(life)))
			b.race(deliveryID)
			b.clock.advance(lease)
			if c := b.race(deliveryID); c.Attempt != 2 || c.Sends != 2 {
				b.Fatalf("%s: got %+v", deliveryID, c)
			}
		}
	})
}

// However a worker ends its claim, and however the api's word comes between:
// what was withdrawn is gone.
func TestAWithdrawnClaimIsNeverResurrected(t *testing.T) {
	ends := map[string]func(bench, claim.Claim) error{
		"accept":  func(b bench, c claim.Claim) error { return b.Accept(b.Context(), c, "SM1") },
		"release": func(b bench, c claim.Claim) error { return b.Release(b.Context(), c) },
		"doubt":   func(b bench, c claim.Claim) error { return b.Doubt(b.Context(), c) },
		"extend":  func(b bench, c claim.Claim) error { _, err := b.Extend(b.Context(), c, lease); return err },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(b bench) {
				for round := range rounds {
					deliveryID := "dlv_" + strconv.Itoa(round)
					b.ok(b.Open(b.Context(), deliveryID, b.clock.Now().Add(life)))
					c, err := b.Take(b.Context(), deliveryID, lease)
					b.ok(err)
					var withdrawn bool
					var errs [2]error
					together(2, func(i int) {
						if i == 0 {
							withdrawn, errs[0] = b.Withdraw(b.Context(), deliveryID)
							return
						}
						errs[1] = end(b, c)
					})
					b.ok(errs[0])
					b.ok(errs[1])
					if left, err := b.store.Get(b.Context(), "claim:{"+deliveryID+"}"); err != nil || left != nil || !withdrawn {
						b.Fatalf("%s: withdrawn %t, left %s, %v", deliveryID, withdrawn, left, err)
					}
				}
			})
		})
	}
}

// Many tellers of many truths about one delivery: the accepted one stays, and
// no other teller opens it again.
func TestWhatWasAcceptedStaysAccepted(t *testing.T) {
	onBoth(t, func(b bench) {
		for round := range rounds {
			deliveryID := "dlv_" + strconv.Itoa(round)
			b.ok(b.Open(b.Context(), deliveryID, b.clock.Now().Add(life)))
			first, err := b.Take(b.Context(), deliveryID, lease)
			b.ok(err)
			b.clock.advance(lease)
			second, err := b.Take(b.Context(), deliveryID, lease)
			b.ok(err)
			errs := make([]error, 6)
			together(len(errs), func(i int) {
				switch i {
				case 0:
					errs[i] = b.Accept(b.Context(), first, "SM1")
				case 1:
					errs[i] = b.Release(b.Context(), second)
				case 2:
					errs[i] = b.Doubt(b.Context(), second)
				case 3:
					_, errs[i] = b.Extend(b.Context(), second, lease)
				case 4:
					errs[i] = b.Open(b.Context(), deliveryID, b.clock.Now().Add(2*life))
				case 5:
					errs[i] = b.Doubt(b.Context(), first)
				}
			})
			for _, err := range errs {
				b.ok(err)
			}
			c, err := b.Take(b.Context(), deliveryID, lease)
			b.ok(err)
			if c.State != claim.Accepted || c.ProviderID != "SM1" {
				b.Fatalf("%s: got %+v", deliveryID, c)
			}
		}
	})
}
