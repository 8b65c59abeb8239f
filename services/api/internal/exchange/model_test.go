package exchange_test

import (
	"slices"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
)

// What the flow should do, written down once more and in other words: a request
// names people, trials are ways to prove something, and a login is a list of
// what one person has really proven in one request. The stages are in
// machine_test.go compared with it, operation by operation.

// asked is a request of an app.
type asked struct {
	id     secret.Text
	app    int
	at     time.Time
	done   bool // its code was made
	people map[string]*alias
}

// alias is a name that was used in a request.
type alias struct {
	sub   string
	user  *someone // nil for nobody
	login *begun   // the last one
}

// begun is a login that has begun.
type begun struct {
	track  secret.Text
	of     *asked
	who    *alias
	proofs []string
	needs  exchange.Needs
	at     time.Time
	dead   bool
}

// What a trial is for, and how far it has come.
const (
	toBegin, toGoOn, toEnrol = "to begin", "to go on", "to enrol"
	open, spent, won         = "open", "spent", "won"
)

// trial is an exchange id with its status id.
type trial struct {
	exchange secret.Text
	purpose  string
	method   exchange.Method
	of       *asked
	who      *alias
	login    *begun
	enrols   string // id of the factor
	ends     time.Time
	kept     time.Time // until then it is known
	tries    int
	stage    string
	spentAt  time.Time
	next     *trial // that has taken its place
	report   *report
	dead     bool
}

// report is a status id.
type report struct {
	id      secret.Text
	of      *trial // the last one
	stage   string // open, won, spent
	spentAt time.Time
	ends    time.Time
	kept    time.Time
	dead    bool
}

// end ends a trial with its login, as whoever misuses its id does.
func (t *trial) end() {
	t.dead, t.report.dead = true, true
	if t.next != nil {
		t.next.dead = true
	}
	t.login.end()
}

func (r *report) end() {
	r.of.end()
}

func (l *begun) end() {
	if l != nil {
		l.dead = true
	}
}

// works reports whether a request is open, with its app and organization.
func (m *machine) works(r *asked) bool {
	return !r.done && m.now.Sub(r.at) < 30*time.Minute && m.runs(r.app)
}

func (m *machine) runs(appNo int) bool {
	a := m.apps[appNo]
	return a.Active && !m.orgs[a.Org].Deleted()
}

func (m *machine) lives(l *begun) bool {
	return l != nil && !l.dead && m.now.Sub(l.at) < 10*time.Minute
}

var allMethods = []exchange.Method{exchange.TOTP, exchange.SMS, exchange.Email, exchange.Password, exchange.BackupCode}

func (m *machine) allows(appNo int, method exchange.Method) bool {
	return m.apps[appNo].Allows(map[exchange.Method]string{
		exchange.TOTP: app.TOTP, exchange.SMS: app.SMS, exchange.Email: app.Email, exchange.Password: app.Password, exchange.BackupCode: app.Recovery,
	}[method])
}

// firsts are the methods with which logins of an app begin.
func (m *machine) firsts(appNo int) (out []exchange.Method) {
	for _, method := range allMethods {
		if m.allows(appNo, method) && (method == exchange.Password || m.connections[m.apps[appNo].Tenant.Org].Passwordless) {
			out = append(out, method)
		}
	}
	return out
}

// has reports whether somebody has a factor, or anything that stands in for one.
func (p *someone) has(method string) bool {
	for _, f := range p.factors {
		if f.Method == method && f.Takes() {
			return true
		}
	}
	return false
}

// keeps is has, but of factors that take no codes too.
func (p *someone) keeps(method exchange.Method) bool {
	named := map[exchange.Method]string{exchange.TOTP: app.TOTP, exchange.SMS: app.SMS}[method]
	return method == exchange.Email || method == exchange.Password ||
		slices.ContainsFunc(p.factors, func(f factor.Factor) bool { return named == "" || f.Method == named })
}

func (p *someone) needsSecond() bool { return len(p.factors) > 0 || p.recovery.Obliged }

// seconds are the methods with which a login goes on.
func (m *machine) seconds(l *begun) (out []exchange.Method) {
	p := l.who.user
	if !p.user.Active || l.needs == exchange.NewFactor {
		return nil
	}
	may := map[exchange.Method]bool{
		exchange.Email: l.needs == exchange.Nothing && !p.needsSecond() && !slices.Contains(l.proofs, grant.Mail),
	}
	if l.needs == exchange.SecondFactor {
		may[exchange.TOTP], may[exchange.SMS] = p.has(app.TOTP), p.has(app.SMS)
		may[exchange.BackupCode] = len(p.papers) > 0 && !p.recovery.Obliged
	}
	for _, method := range allMethods {
		if may[method] && m.allows(l.of.app, method) {
			out = append(out, method)
		}
	}
	return out
}

// proves reports whether something is the right proof of somebody now.
func proves(p *someone, method exchange.Method, typed string) bool {
	if p == nil || !p.user.Active || typed == "" || typed != p.right(method) {
		return false
	}
	switch method {
	case exchange.TOTP:
		return p.has(app.TOTP)
	case exchange.SMS:
		return p.has(app.SMS)
	case exchange.BackupCode:
		return !p.recovery.Obliged && len(p.factors) > 0
	case exchange.Email, exchange.Password:
	}
	return true
}

var marks = map[exchange.Method]string{
	exchange.TOTP: grant.App, exchange.SMS: grant.SMS, exchange.Email: grant.Mail, exchange.Password: grant.Password, exchange.BackupCode: grant.Recovery,
}

// after is what a login needs after a proof.
func after(p *someone, method exchange.Method) exchange.Needs {
	switch {
	case method == exchange.BackupCode:
		return exchange.NewFactor
	case method == exchange.TOTP, method == exchange.SMS, !p.needsSecond():
		return exchange.Nothing
	}
	return exchange.SecondFactor
}

// enough is the property itself: whether proofs open an account. It looks at
// nothing that the stages keep. Second says whether the user had a second
// factor when the login began.
func enough(proofs []string, second bool) bool {
	has := func(proof string) bool { return slices.Contains(proofs, proof) }
	factor := has(grant.App) || has(grant.SMS)
	switch {
	case has(grant.Recovery): // which opens nothing before a factor is enrolled after it
		return factor && slices.Index(proofs, grant.Recovery) < len(proofs)-1 && proofs[len(proofs)-1] != grant.Recovery
	case second:
		return factor
	}
	return has(grant.Password) || has(grant.Mail)
}
