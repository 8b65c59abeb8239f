package exchange_test

import (
	"errors"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/id"
)

// most is how often something is compared for one exchange id.
const most = 5

// try is a trial, mostly one that is open.
func (m *machine) try(purposes ...string) *trial {
	fits := slices.DeleteFunc(slices.Clone(m.trials), func(t *trial) bool {
		return t.dead || t.stage != open || !m.now.Before(t.ends) || !m.works(t.of) || !slices.Contains(purposes, t.purpose)
	})
	if m.seldom("any trial") {
		fits = m.trials
	}
	if len(fits) == 0 {
		return nil
	}
	return fits[m.one(len(fits))]
}

// shown is what showing an exchange id does before anything is compared: it
// reports whether it is any good, and ends its login where somebody misuses it.
func (m *machine) shown(t *trial, fits bool, err error) bool {
	switch {
	case t.dead, m.forgotten(t.kept), t.stage == spent && m.now.Sub(t.spentAt) <= 10*time.Second:
		return false
	case t.stage != open, !fits:
		t.end()
		return false
	case !m.now.Before(t.ends):
		if !errors.Is(err, exchange.ErrExpired) {
			m.t.Fatalf("an exchange id that is too old: %v", err)
		}
		return false
	}
	return true
}

func (m *machine) verifies() bool {
	t := m.try(toBegin, toGoOn)
	if t == nil {
		return false
	}
	typed := m.typed(t.who.user, t.method)
	v, fits := m.sent(t, typed)
	right := proves(t.who.user, t.method, typed)
	shut := t.who.user != nil && t.method != exchange.Email && (t.who.user.recovery.Obliged || !t.who.user.keeps(t.method))
	step, err := m.Verify(m.t.Context(), from, v)
	if !m.shown(t, fits && t.purpose != toEnrol, err) || !m.works(t.of) || typed == "" || t.purpose == toBegin && m.paused(err, t) {
		return m.agrees("verify", err, false)
	}
	if t.purpose == toBegin {
		return m.verifiesFirst(t, step, err, right)
	}
	if !m.lives(t.login) || !t.who.user.user.Active || (t.login.needs == exchange.SecondFactor) == (t.method == exchange.Email) || t.login.needs == exchange.NewFactor {
		return m.agrees("verify a second proof", err, false)
	}
	if t.tries == most {
		return m.agrees("verify once too often", err, false)
	}
	if t.kept = m.now.Add(memory); shut {
		return m.agrees("verify a second proof of nothing", err, false)
	}
	if right && t.method != exchange.BackupCode && t.login.mustChange() {
		t.end()
		return m.agrees("verify a second proof after a password that must change", err, false)
	}
	if m.agrees("verify a second proof by "+string(t.method), err, right) {
		l := t.login
		l.proofs = append(l.proofs, marks[t.method])
		if t.method != exchange.Email {
			l.needs = after(t.who.user, t.method)
		}
		m.won(t, l, step)
		return true
	}
	t.tries++
	return false
}

func (m *machine) verifiesFirst(t *trial, step exchange.Step, err error, right bool) bool {
	if !slices.Contains(m.firsts(t.of.app), t.method) {
		t.end()
		return m.agrees("verify a first proof that is off", err, false)
	}
	if t.method != exchange.Password {
		if m.sprayed {
			return m.agrees("verify a first proof that is paused", err, false)
		}
		if m.guesses[m.slow(t)]++; right && t.tries < most {
			m.guesses[m.slow(t)] = 0
		}
	}
	if t.tries == most {
		return m.agrees("verify once too often", err, false)
	}
	t.kept = m.now.Add(memory)
	if right && t.method == exchange.Password && t.who.user.mustChange && !t.who.user.needsSecond() {
		t.end()
		return m.agrees("verify a password that must change", err, false)
	}
	if m.agrees("verify a first proof by "+string(t.method), err, right) {
		t.who.login.end() // the one before
		l := &begun{track: step.TrackID, of: t.of, who: t.who, proofs: []string{marks[t.method]}, needs: after(t.who.user, t.method), at: m.now}
		m.fresh(l.track)
		t.who.login, m.had[l] = l, t.who.user.needsSecond()
		m.logins = append(m.logins, l)
		m.won(t, l, step)
		return true
	}
	t.tries++
	return false
}

// mustChange reports whether a login ends in another password instead of a code.
func (l *begun) mustChange() bool {
	return l.who.user.mustChange && slices.Contains(l.proofs, marks[exchange.Password])
}

// won notes a right proof: another exchange id takes the place of this one.
func (m *machine) won(t *trial, l *begun, step exchange.Step) {
	ends := m.now.Add(5 * time.Minute).Truncate(time.Millisecond)
	if l != nil && (step.Needs != l.needs || step.TrackID.Reveal() != l.track.Reveal()) {
		m.t.Fatalf("after a proof a login needs %q, want %q", step.Needs, l.needs)
	}
	if step.StatusID.Reveal() != t.report.id.Reveal() || !step.ExpiresAt.Equal(ends) {
		m.t.Fatalf("the ids do not change as they should")
	}
	m.fresh(step.ExchangeID)
	next := *t
	next.exchange, next.stage, next.ends, next.login = step.ExchangeID, won, ends, l
	next.kept, t.kept, t.report.kept = m.now.Add(memory), m.now.Add(memory), m.now.Add(memory)
	t.stage, t.spentAt, t.login, t.next = spent, m.now, l, &next
	t.report.of, t.report.stage, t.report.ends = &next, won, ends
	m.trials = append(m.trials, &next)
}

func (m *machine) cancels() bool {
	t := m.try(toBegin, toGoOn, toEnrol)
	if t == nil {
		return false
	}
	method := t.method
	if m.seldom("other method") {
		method = m.method()
	}
	err := m.Cancel(m.t.Context(), method, t.exchange)
	switch {
	case t.dead, t.stage == spent && m.now.Sub(t.spentAt) <= 10*time.Second, m.forgotten(t.kept):
		return m.agrees("cancel", err, false)
	case t.stage == spent, method != t.method:
		t.end()
		return m.agrees("cancel", err, false)
	case t.stage == won && t.purpose == toBegin:
		t.login.end()
	}
	t.dead, t.report.dead = true, true
	return m.agrees("cancel", err, true)
}

// memory is how long an id is known after its last use, forgotten whether that
// is over.
const memory = 10 * time.Minute

func (m *machine) forgotten(kept time.Time) bool { return !m.now.Before(kept) }

func (m *machine) asksStatus() bool {
	t := m.try(toBegin, toGoOn, toEnrol)
	if t == nil {
		return false
	}
	done, method, err := m.Status(m.t.Context(), t.report.id)
	if m.agrees("status", err, !t.report.dead && m.now.Truncate(time.Millisecond).Before(t.report.ends)) && (method != t.method || done != (t.report.stage != open)) {
		m.t.Fatalf("the status is %v of %s, want %s of %s", done, method, t.report.stage, t.method)
	}
	return err == nil
}

// finishable is a trial that was won, mostly.
func (m *machine) finishable() *trial {
	fits := slices.DeleteFunc(slices.Clone(m.trials), func(t *trial) bool {
		return t.report.dead || t.report.stage != won || !m.now.Before(t.report.ends) || t.purpose == toEnrol
	})
	if m.seldom("any status") {
		fits = m.trials
	}
	if len(fits) == 0 {
		return nil
	}
	return fits[m.one(len(fits))]
}

func (m *machine) finishes() bool {
	t := m.finishable()
	if t == nil {
		return false
	}
	r, of, fits := t.report, t.of, t.purpose != toEnrol
	f := exchange.Finish{RequestID: of.id, StatusID: r.id, Sub: t.who.sub}
	switch {
	case m.seldom("other request"):
		of = m.request()
		f.RequestID, fits = of.id, fits && of == t.of
	case m.seldom("other sub"):
		f.Sub, fits = id.Opaque().Reveal(), false
	case m.seldom("some method"):
		f.Method = m.method()
		fits = fits && f.Method == t.method
	case m.seldom("no sub"):
		f.Sub = ""
	}
	redirect, err := m.Finish(m.t.Context(), from, f)
	switch {
	case !m.works(of), r.dead, m.forgotten(r.kept), r.stage == spent && m.now.Sub(r.spentAt) <= 10*time.Second:
		return m.agrees("finish", err, false)
	case r.stage != won, !fits:
		r.end()
		return m.agrees("finish", err, false)
	case !m.now.Before(r.ends):
		return m.agrees("finish", err, false)
	}
	r.stage, r.spentAt, r.kept = spent, m.now, m.now.Add(memory)
	return m.leads("finish", r.of.login, redirect, err)
}

// leads is the end of a login: a code, or what is missing for one.
func (m *machine) leads(what string, l *begun, redirect secret.Text, err error) bool {
	if !m.lives(l) {
		return m.agrees(what, err, false)
	}
	if l.needs != exchange.Nothing {
		if m.agrees(what, err, true) && (answers(m.t, redirect).Get("error") != "interaction_required" || answers(m.t, redirect).Has("code")) {
			m.t.Fatalf("%s without all proofs leads to %v", what, answers(m.t, redirect))
		}
		return true
	}
	l.dead, l.of.done = true, true
	if !m.agrees(what, err, l.who.user.user.Active) {
		return false
	}
	m.judge(l, answers(m.t, redirect).Get("code"))
	return true
}

// judge is told of every code that was made.
func (m *machine) judge(l *begun, code string) {
	n, proofs := m.grants[len(m.grants)-1], strings.Join(l.proofs, " ")
	m.codes[proofs]++
	if m.led[l.of] = true; code == "" || len(m.grants) != len(m.led) {
		m.t.Fatalf("%d codes for %d requests", len(m.grants), len(m.led))
	}
	if !slices.Equal(n.AMR, l.proofs) || n.UserID != l.who.user.user.ID || n.ClientID != m.apps[l.of.app].ID || n.Tenant != m.apps[l.of.app].Tenant {
		m.t.Fatalf("a code for %v, and %v was proven", n.AMR, l.proofs)
	}
	if !enough(l.proofs, m.had[l]) {
		m.t.Fatalf("a code for nothing but %v", l.proofs)
	}
}

func (m *machine) continues() bool {
	l := m.login()
	if l == nil {
		return false
	}
	var requestID secret.Text
	of := l.of
	if m.seldom("some request") {
		of = m.request()
		requestID = of.id
	}
	redirect, err := m.Continue(m.t.Context(), from, l.track, requestID)
	if !m.lives(l) {
		return m.agrees("continue", err, false)
	}
	if of != l.of {
		l.end()
		return m.agrees("continue", err, false)
	}
	if !m.works(l.of) {
		return m.agrees("continue", err, false)
	}
	return m.leads("continue", l, redirect, err)
}

func (m *machine) prechecks() bool {
	l := m.login()
	if l == nil {
		return false
	}
	check, err := m.Precheck(m.t.Context(), l.track)
	if m.agrees("precheck", err, m.lives(l) && m.works(l.of)) {
		if check.Needs != l.needs || check.Sub != l.who.sub || check.ClientID != m.apps[l.of.app].ID {
			m.t.Fatalf("precheck says %+v", check)
		}
		m.same("methods of a login", check.Methods, m.seconds(l))
	}
	return err == nil
}

func (m *machine) enrols() bool {
	l := m.login()
	if waits := slices.DeleteFunc(slices.Clone(m.logins), func(l *begun) bool { return !m.lives(l) || l.needs != exchange.NewFactor }); len(waits) > 0 {
		l = waits[len(waits)-1]
	}
	if l == nil {
		return false
	}
	p, method := l.who.user, m.method(exchange.TOTP, exchange.SMS)
	may := m.lives(l) && m.works(l.of) && p.user.Active && (method == exchange.TOTP || method == exchange.SMS) &&
		(l.needs == exchange.NewFactor || l.needs == exchange.Nothing && !p.needsSecond())
	// One login of a user has used a recovery code, another one has enrolled.
	may = may && (p.recovery.Obliged || len(p.factors) == 0)
	step, err := m.EnrolInLogin(m.t.Context(), from, l.track, exchange.Enrolment{Method: method})
	if m.agrees("enrol", err, may) {
		m.started(step.Step, trial{purpose: toEnrol, method: method, of: l.of, who: l.who, login: l, enrols: p.waiting.ID})
	}
	return err == nil
}

func (m *machine) confirms() bool {
	t := m.try(toEnrol)
	if t == nil {
		return false
	}
	p := t.who.user
	typed := m.typed(p, t.method)
	right := p != nil && typed != "" && typed == p.right(t.method)
	v, fits := m.sent(t, typed)
	waiting := ""
	if p != nil {
		waiting = p.waiting.ID
	}
	done, err := m.Confirm(m.t.Context(), from, v)
	if !m.shown(t, fits && t.purpose == toEnrol, err) || !m.lives(t.login) || !m.works(t.of) || typed == "" || waiting != t.enrols {
		return m.agrees("confirm", err, false)
	}
	if t.tries == most {
		return m.agrees("confirm once too often", err, false)
	}
	if t.kept = m.now.Add(memory); !p.user.Active {
		return m.agrees("confirm", err, false)
	}
	if right && t.login.needs == exchange.NewFactor && t.login.mustChange() {
		t.end()
		return m.agrees("confirm after a password that must change", err, false)
	}
	if !m.agrees("confirm", err, right) {
		t.tries++
		return false
	}
	if l := t.login; l.needs == exchange.NewFactor {
		l.proofs, l.needs = append(l.proofs, marks[t.method]), exchange.Nothing
	}
	m.won(t, t.login, done.Step)
	return true
}

// strays shows an id as one of another kind.
func (m *machine) strays() bool {
	t := m.try(toBegin, toGoOn, toEnrol)
	if t == nil {
		return false
	}
	stray, ends, known := t.exchange, t.end, !t.dead && !m.forgotten(t.kept)
	switch n := m.upTo(2, "what"); {
	case n == 1:
		stray, ends, known = t.report.id, t.report.end, !t.report.dead && !m.forgotten(t.report.kept)
	case n == 2 && t.login != nil:
		stray, ends, known = t.login.track, t.login.end, true
	}
	var err error
	switch where := m.upTo(3, "where"); {
	case where == 0 && stray.Reveal() != t.exchange.Reveal():
		_, err = m.Verify(m.t.Context(), from, exchange.Verification{ExchangeID: stray, Method: t.method, Code: secret.New("123456")})
	case where == 1 && stray.Reveal() != t.report.id.Reveal() && m.works(t.of):
		_, err = m.Finish(m.t.Context(), from, exchange.Finish{RequestID: t.of.id, StatusID: stray, Sub: t.who.sub})
	case where == 2 && (t.login == nil || stray.Reveal() != t.login.track.Reveal()):
		_, err = m.Continue(m.t.Context(), from, stray, secret.Text{})
	default:
		_, err = m.Methods(m.t.Context(), stray, named(ana))
	}
	if known {
		ends()
	}
	return !m.agrees("an id of another kind", err, false)
}
