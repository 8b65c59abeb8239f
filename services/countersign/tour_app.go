package countersign

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// benTour plays the life of an authenticator app: enrolled, used, lost, and
// replaced by means of a recovery code. It plays the app as well.
type benTour struct {
	*tour
	ben      string // his id
	app      *authenticator
	recovery string // one of his recovery codes
}

// apps goes the steps of Ben, who has an authenticator app.
func (t *tour) apps(ctx context.Context) error {
	b := &benTour{tour: t}
	for _, step := range []func(context.Context) error{b.enrolApp, b.confirmApp, b.logInByApp, b.loseApp, b.enrolAgain, b.lookBack} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	t.ben = b.app
	return nil
}

func (b *benTour) enrolApp(ctx context.Context) error {
	b.say("\n7. Ben has an authenticator app: its key is in the answer, this once, as a picture to scan")
	user, err := b.call(ctx, http.MethodPost, "/api/v2/org/"+b.org+"/users", "profile[email]="+benEmail, "profile[given_name]=Ben")
	if err != nil {
		return err
	}
	b.ben = user.text("id")
	started, err := b.enrol(ctx)
	if err != nil {
		return err
	}
	picture, err := readQR(started.text("qr_code"))
	if err != nil {
		return err
	}
	b.say("   -> qr_code, for a terminal that writes light on dark:\n%s", margin("      ", picture.String()))
	b.say("   -> otp_uri: %s", started.text("otp_uri"))
	return nil
}

// enrol starts an enrolment and hands the key to a new app.
func (b *benTour) enrol(ctx context.Context) (answer, error) {
	started, err := b.call(ctx, http.MethodPost, "/api/v2/org/"+b.org+"/totp-enrollment/"+b.ben)
	if err != nil {
		return nil, err
	}
	b.app, err = newAuthenticator(started.text("otp_uri"))
	return started, err
}

// confirm proves that the app has the key, and returns the answer.
func (b *benTour) confirm(ctx context.Context) (answer, error) {
	code, err := b.app.next()
	if err != nil {
		return nil, err
	}
	return b.taken(b.call(ctx, http.MethodPut, "/api/v2/org/"+b.org+"/totp-enrollment/validation/"+b.ben, "code="+code))
}

func (b *benTour) confirmApp(ctx context.Context) error {
	b.say("\n8. The first code of his authenticator proves that it has the key. Recovery codes come with it, this once")
	confirmed, err := b.confirm(ctx)
	if err != nil {
		return err
	}
	codes := confirmed.text("recovery_codes")
	if b.recovery, _, _ = strings.Cut(codes, "\n"); b.recovery == "" {
		return errors.New("the answer holds no recovery codes")
	}
	b.say("   -> success: true, recovery_codes:\n%s", indent(codes))
	return nil
}

func (b *benTour) validation() string {
	return "/api/v2/org/" + b.org + "/totp-challenge/validation/" + b.ben
}

func (b *benTour) logInByApp(ctx context.Context) error {
	b.say("\n9. Ben logs in; nothing has to be sent. A code works once and the enrolment used one up, so this is the code after it:")
	b.say("   one step (30 seconds) early or late is good, since no two clocks agree")
	code, err := b.app.next()
	if err != nil {
		return err
	}
	if _, err := b.taken(b.call(ctx, http.MethodPost, b.validation(), "code="+code)); err != nil {
		return err
	}
	b.say("   -> success: true")
	b.say("   The same code again, while it may still be on the display:")
	again, err := b.call(ctx, http.MethodPost, b.validation(), "code="+code)
	if err != nil {
		return err
	}
	if again["success"] != false {
		return errors.New("a used code was taken again")
	}
	b.say("   -> success: false, error: %v", again["error"])
	return nil
}

func (b *benTour) loseApp(ctx context.Context) error {
	b.say("\n10. Ben has lost his phone. A recovery code proves who he is, once; it stops the old app and asks for a new one")
	used, err := b.taken(b.call(ctx, http.MethodPost, b.validation(), "code="+b.recovery))
	if err != nil {
		return err
	}
	b.say("   -> success: true, recovery_code_used: %v, reenrolment_required: %v", used["recovery_code_used"], used["reenrolment_required"])
	code, err := b.app.present()
	if err != nil {
		return err
	}
	b.say("   Whoever has found the phone gets nowhere with it:")
	status, refused, err := b.try(ctx, http.MethodPost, b.validation(), "code="+code)
	if err != nil {
		return err
	}
	if status != http.StatusForbidden {
		return fmt.Errorf("a code of the lost app is answered with status %d: %v", status, refused)
	}
	reason, _ := refused["error"].(map[string]any)
	b.say("   -> %d, error: %v", status, reason["type"])
	return nil
}

func (b *benTour) enrolAgain(ctx context.Context) error {
	b.say("\n11. He enrols the app of his new phone. The recovery codes that are left go on being good, so there are no new ones")
	started, err := b.enrol(ctx)
	if err != nil {
		return err
	}
	b.say("   -> otp_uri: %s", started.text("otp_uri"))
	confirmed, err := b.confirm(ctx)
	if err != nil {
		return err
	}
	if confirmed["recovery_codes"] != nil {
		return errors.New("new recovery codes were made though some are left")
	}
	b.say("   -> success: true, recovery_codes: null")
	left, err := b.call(ctx, http.MethodGet, "/api/v2/org/"+b.org+"/users/"+b.ben+"/recovery-codes")
	if err != nil {
		return err
	}
	b.say("   -> left: %v", left["left"])
	return nil
}

func (b *benTour) lookBack(ctx context.Context) error {
	b.say("\n12. All of it is on record, in chains that show when somebody changes a record (countersign activity verify). The newest:")
	list, err := b.call(ctx, http.MethodGet, "/api/v2/org/"+b.org+"/activity", "user="+b.ben, "per_page=3")
	if err != nil {
		return err
	}
	records, _ := list["data"].([]any)
	if len(records) == 0 {
		return errors.New("nothing is on record")
	}
	for _, each := range records {
		record, _ := each.(map[string]any)
		b.say("   -> %v: %v, number %v of chain %v", record["action"], record["result"], record["number"], record["chain"])
	}
	b.say("      of %v records about Ben", list["total"])
	return nil
}

// taken passes an answer on in which a code succeeded.
func (b *benTour) taken(got answer, err error) (answer, error) {
	if err == nil && got["success"] != true {
		err = fmt.Errorf("the code was not taken: %v", got["error"])
	}
	return got, err
}

// authenticator shows codes as an app does that has taken over a key.
type authenticator struct {
	key  *otp.Key
	last int64 // the newest step whose code next returned
	now  func() time.Time
}

func newAuthenticator(uri string) (*authenticator, error) {
	key, err := otp.NewKeyFromURL(uri)
	if err != nil {
		return nil, errors.New("the answer holds no key for an authenticator app")
	}
	return &authenticator{key: key, now: time.Now}, nil
}

// present is what the app shows now.
func (a *authenticator) present() (string, error) { return a.at(a.step()) }

// next is the present code, or the one after the last that it returned: each
// works once, and nobody wants to wait for half a minute here. Two calls after
// each other are good wherever a step ends between or after them, since the
// service takes the code before and the one after the present one too.
func (a *authenticator) next() (string, error) {
	a.last = max(a.step(), a.last+1)
	return a.at(a.last)
}

func (a *authenticator) step() int64 { return a.now().Unix() / a.period() }

func (a *authenticator) period() int64 { return int64(a.key.Period()) } //nolint:gosec // 30 or 60

func (a *authenticator) at(step int64) (string, error) {
	code, err := totp.GenerateCodeCustom(a.key.Secret(), time.Unix(step*a.period(), 0), totp.ValidateOpts{
		Period: uint(a.key.Period()), Digits: a.key.Digits(), Algorithm: a.key.Algorithm(),
	})
	if err != nil {
		return "", errors.New("the key of the authenticator app makes no codes")
	}
	return code, nil
}
