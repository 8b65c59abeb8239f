package challenge_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/tenant"
)

//
func TestSendsToOneNumber(t *testing.T) {
	t.Parallel()
	const number = "+4915112345678"
	c := newCrowd(t)
	// Whoever asks, and for whom: users of other organizations too.
	someone := func() challenge.Request { return c.ask(c.elsewhere(tenant.Default), number) }
	c.sends(someone())
	for i, gap := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute} {
		c.refuses(someone(), challenge.ErrGap, gap)
		c.pass(gap - time.Second)
		c.refuses(someone(), challenge.ErrGap, time.Second)
		c.pass(time.Second)
		if i < 3 {
			c.sends(someone())
		}
	}
	last := someone()
	c.sends(last) // the fifth, 7:30 after the first
	c.answers(last)
	c.loseRedis()
	c.refuses(someone(), challenge.ErrNumber, 150*time.Second) // the sixth in ten minutes; an answer ended the gap and no more
	c.pass(149 * time.Second)
	c.refuses(someone(), challenge.ErrNumber, time.Second)
	c.pass(time.Second)
	for range 5 {
		c.sends(someone())
		c.pass(8 * time.Minute)
	}
	c.loseRedis()
	c.refuses(someone(), challenge.ErrNumber, 24*time.Hour-50*time.Minute) // the eleventh in a day
	c.pass(24*time.Hour - 50*time.Minute)
	c.sends(someone())
	other := c.ask(c.subject.Tenant, "+4915187654321")
	c.sends(other)
	if got := c.stopped["default number_limit"] + c.stopped["default resend_too_soon"]; got != 11 {
		t.Errorf("%d stopped sends were counted, want 11: %v", got, c.stopped)
	}
}

// The sandbox is a hundred times wider and has no gap.
func TestSendsToOneNumberOfTheSandbox(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	r := c.ask(c.elsewhere(tenant.Sandbox), "+4915112345678")
	for range 500 {
		c.sends(r)
	}
	c.refuses(r, challenge.ErrNumber, 10*time.Minute)
}

//
func TestSendsToManyNumbers(t *testing.T) {
	t.Parallel()
	t.Run("of one user", func(t *testing.T) {
		t.Parallel()
		c := newCrowd(t)
		r := c.ask(c.subject.Tenant, "+4915112345678")
		for i := range 10 {
			r.To = fmt.Sprintf("+49151%05d000", i)
			c.sends(r)
		}
		r.To = "+4915199999999"
		c.refuses(r, challenge.ErrUser, 24*time.Hour)
	})
	t.Run("of one organization", oneOrganization)
	t.Run("of one block", oneBlock)
	t.Run("of one source", oneSource)
}

func oneOrganization(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	connection, err := c.store.Connection(t.Context(), c.subject.Tenant)
	if err != nil || connection.SMSPerHour != 200 || connection.SMSPerDay != 1000 {
		t.Fatalf("a new organization may send %d an hour and %d a day, %v", connection.SMSPerHour, connection.SMSPerDay, err)
	}
	number := 0
	ask := func() challenge.Request {
		number++
		r := c.ask(c.subject.Tenant, fmt.Sprintf("+49%03d%05d000", 100+number%50, number)) // few of each prefix and block
		r.Limits = challenge.Limits{OrgPerHour: connection.SMSPerHour, OrgPerDay: connection.SMSPerDay}
		return r
	}
	for hour := range 5 {
		for range 200 {
			c.sends(ask())
		}
		if hour < 4 {
			c.refuses(ask(), challenge.ErrOrg, time.Hour)
			c.pass(time.Hour)
		}
	}
	c.pass(time.Hour)
	c.refuses(ask(), challenge.ErrOrg, 19*time.Hour) // the day's
	elsewhere := ask()
	elsewhere.Subject = c.ask(c.elsewhere(tenant.Default), "+4917212345678").Subject
	c.sends(elsewhere)
}

func oneBlock(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	here := c.subject.Tenant
	sequence := func(i int) string { return fmt.Sprintf("+49151234%05d", 10_000+i) }
	regular := c.ask(here, sequence(500))
	c.sends(regular)
	c.answers(regular) // the first of ten, and known from now on
	for i := range 9 {
		c.sends(c.ask(c.elsewhere(tenant.Default), sequence(i)))
	}
	for i := range 100 {
		c.refuses(c.ask(here, sequence(100+i)), challenge.ErrBlock, time.Hour)
	}
	if fmt.Sprint(c.alarms) != "[number_block]" || c.stopped["default number_block_limit"] != 100 {
		t.Errorf("alarms %v, stopped %v, want one alarm for 100 stopped sends", c.alarms, c.stopped)
	}
	if got := c.reasons(here); got["failed stopped:number_block_limit"] != 100 {
		t.Errorf("the deliveries say %v", got)
	}
	c.sends(regular) // a known number is served
	c.sends(c.ask(here, sequence(1000)))
	c.pass(time.Hour)
	c.sends(c.ask(here, sequence(200)))
}

func oneSource(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	number := 0
	from := func(address string) challenge.Request {
		number++
		r := c.ask(c.elsewhere(tenant.Default), fmt.Sprintf("+49151%05d000", number))
		r.Source = netip.MustParseAddr(address)
		return r
	}
	var first challenge.Request
	for i := range 5 {
		r := from("203.0.113.7")
		if c.sends(r); i == 0 {
			first = r
		}
	}
	c.refuses(from("203.0.113.7"), challenge.ErrSource, time.Hour)
	c.pass(30 * time.Second)
	c.sends(first) // a number that it has asked for is not another one
	c.sends(from("203.0.113.8"))
	nobody := from("203.0.113.7")
	nobody.Source = netip.Addr{}
	c.sends(nobody) // a server that does not say for whom
	c.pass(time.Hour)
	c.sends(from("203.0.113.7"))

	for i := range 5 {
		c.sends(from(fmt.Sprintf("2001:db8:1:1::%x", i)))
	}
	c.refuses(from("2001:db8:1:1:ffff::"), challenge.ErrSource, time.Hour)
	for i := range 35 {
		c.sends(from(fmt.Sprintf("2001:db8:1:%x::1", 2+i)))
	}
	c.refuses(from("2001:db8:1:ffff::1"), challenge.ErrSource, time.Hour) // the /48, after eight times as many
	c.sends(from("2001:db8:2::1"))

	// What the caller of one account says does not bind another's.
	tenants := &tenant.Service{Store: c.store, Now: c.clock}
	rival, err := tenants.CreateAccount(t.Context(), "rival", "")
	if err != nil {
		t.Fatal(err)
	}
	org, err := tenants.CreateOrganization(t.Context(), rival.ID, tenant.NewOrganization{Name: "Rival"})
	if err != nil {
		t.Fatal(err)
	}
	theirs := c.ask(tenant.ID{Account: rival.ID, Org: org.ID, Env: tenant.Default}, "+4915177777000")
	theirs.Source = netip.MustParseAddr("2001:db8:1:ffff::1")
	c.sends(theirs)
}

//
func TestPumpedPrefixesAreClosed(t *testing.T) {
	t.Parallel()
	t.Run("when nobody answers", pumping)
	t.Run("never by people", people)
}

func pumping(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	here := c.subject.Tenant
	number := func(i int) string { return fmt.Sprintf("+49151%05d%03d", i, i%1000) }
	regular := c.ask(here, "+4915100000000")
	c.sends(regular)
	c.answers(regular)
	c.pass(90 * 24 * time.Hour) // known to the day
	accepted := 0
	for i := range 500 {
		err := c.send(c.ask(here, number(1+i)))
		switch {
		case err == nil:
			accepted++
		case !errors.Is(err, challenge.ErrPrefix):
			t.Fatal(err)
		}
	}
	if accepted != 50 {
		t.Errorf("%d of 500 sends that nobody answers were accepted, want 50", accepted)
	}
	if fmt.Sprint(c.alarms) != "[prefix_closed]" || c.stopped["default prefix_closed"] != 500-accepted {
		t.Errorf("alarms %v, stopped %v", c.alarms, c.stopped)
	}
	if got := c.reasons(here); got["failed stopped:prefix_closed"] != 500-accepted {
		t.Errorf("the deliveries say %v", got)
	}
	if log := c.log.String(); strings.Count(log, "prefix closed") != 1 || !strings.Contains(log, "prefix=+49151 sent=50 answered=0 estimated_cost_cents=400") {
		t.Errorf("the log says %s", log)
	}
	c.sends(regular)                                          // known numbers are served
	c.sends(c.ask(here, "+4917212345678"))                    // and so are other prefixes
	c.sends(c.ask(c.elsewhere(tenant.Sandbox), number(1000))) // and the sandbox
	c.refuses(c.ask(here, number(1001)), challenge.ErrPrefix, time.Hour)
	c.pass(time.Hour)
	c.sends(c.ask(here, number(1001)))

	c.pass(90*24*time.Hour + time.Millisecond) // the known number is forgotten
	for i := range 50 {
		c.sends(c.ask(here, number(2000+i)))
	}
	c.refuses(regular, challenge.ErrPrefix, time.Hour)
}

// An attacker who repeats one send without end fills no table.
func TestStoppedSendsAreRecordedOnceAMinute(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	r := c.ask(c.subject.Tenant, "+4915112345678")
	c.sends(r)
	for range 25 {
		c.refuses(r, challenge.ErrGap, 30*time.Second)
	}
	if got := c.reasons(r.Subject.Tenant); got["failed stopped:resend_too_soon"] != 1 || got["pending"] != 1 || len(got) != 2 {
		t.Errorf("the deliveries say %v, want one stopped send", got)
	}
	if c.stopped["default resend_too_soon"] != 25 {
		t.Errorf("stopped %v, want 25", c.stopped)
	}
}

// A code that the caller delivers is known to the caller, so its answer says
// nothing of the number.
func TestACallersCodeMakesNoNumberKnown(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	r := c.ask(c.subject.Tenant, "+4915112345678")
	r.ByCaller = true
	issued, err := c.Issue(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	result, err := c.compare(t.Context(), challenge.Answer{Subject: r.Subject, Purpose: r.Purpose, Factor: r.Factor, To: r.To, Prefix: r.Prefix, Code: issued.Code})
	if err != nil || !result.OK() {
		t.Fatalf("%v, %v", result.Outcome, err)
	}
	for i := range 50 {
		c.sends(c.ask(c.subject.Tenant, fmt.Sprintf("+49151%05d000", i)))
	}
	r.ByCaller = false
	if err := c.send(r); !errors.Is(err, challenge.ErrPrefix) {
		t.Errorf("the number is known: %v", err)
	}
}
