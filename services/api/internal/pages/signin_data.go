package pages

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/qr"
)

// data is what the templates of a step are filled with.
func (p *SignIn) data(page signInPage, words *signInWords) (map[string]any, error) {
	view := page.view
	fill := strings.NewReplacer("{org}", view.Org.Name, "{app}", view.App, "{user}", view.Address, "{phone}", view.Phone)
	wait := secondsOf(view.SendAt.Sub(p.Now()))
	data := map[string]any{
		"Words": words, "Lang": words.Lang, "Scripted": true, "View": view, "Step": string(view.Step),
		"Heading": fill.Replace(words.Steps[view.Step].Heading), "Text": fill.Replace(words.text(view)), "SendText": fill.Replace(words.SendText),
		"Said": words.about(view, view.Until.Sub(p.Now())), "Asks": slices.Contains(askingSteps, view.Step), "Password": view.Step == flow.StepPassword,
		"Turns":   words.turns(view.Others),
		"Request": page.request.Reveal(), "PageToken": page.token.Reveal(), "To": p.targets(page.request),
		"Wait": wait, "WaitText": words.waitText(wait), "Scopes": words.scopes(view.Scopes), "GoOn": fill.Replace(words.goOn(view)),
		"SendFirst": view.Phone != "" && !view.Apps && !view.Sent, "BySMS": view.Sent || view.Step == flow.StepEnrolSent,
	}
	look(data, view.Org)
	if slices.Contains(firstSteps, view.Step) {
		data["Welcome"] = textOf(view.Org.Welcome(words.Lang), words.Lang)
	}
	if view.Said != "" && view.Said != flow.Sent && view.Said != flow.Changed {
		data["Mistake"] = words.Mistake
	}
	if view.Step == flow.StepRenew {
		data["New"] = newPasswordFor(words.Lang, view.Username, view.Hint)
	}
	if view.Advice != nil {
		data["Advice"] = view.Advice.In(words.Lang)
	}
	if view.Step != flow.StepEnrolApp || view.Enrolment.URI.IsZero() {
		return data, nil
	}
	picture, err := qr.Encode(view.Enrolment.URI)
	if err != nil {
		return nil, err
	}
	data["Picture"] = picture
	// The scheme stands in the template, which takes no other one of an address.
	data["Key"], _ = strings.CutPrefix(view.Enrolment.URI.Reveal(), "otpauth://")
	data["Grouped"] = grouped(view.Enrolment.Secret.Reveal())
	return data, nil
}

// askingSteps have a field for the address.
var askingSteps = []flow.Step{flow.StepAddress, flow.StepPassword, flow.StepLink, flow.StepForgot}

// firstSteps are those that a sign-in may begin at.
var firstSteps = []flow.Step{flow.StepAddress, flow.StepPassword, flow.StepLink}

// grouped is a key in groups of four, which are easier to type.
func grouped(key string) string {
	var groups []string
	for group := range slices.Chunk([]byte(key), 4) {
		groups = append(groups, string(group))
	}
	return strings.Join(groups, " ")
}

// secondsOf rounds up; what is over is zero.
func secondsOf(wait time.Duration) int {
	return max(0, int((wait+time.Second-1)/time.Second))
}

// targets are where the forms of the steps lead.
func (p *SignIn) targets(request secret.Text) map[string]string {
	to := map[string]string{
		"Password": p.path(SignInPath), "Code": p.path(CodePath), "Send": p.path(SendPath),
		"Save": p.path(SavePath) + "?" + url.Values{"requestId": {request.Reveal()}}.Encode(),
	}
	for _, step := range []string{"Turn", "Address", "Link", "Shown", "Forgot", "Renew", "Recovery", "Enrol", "Confirm", "Codes", "Consent", "Again"} {
		to[step] = p.path(SignInPath) + "/" + strings.ToLower(step)
	}
	return to
}

// text is what stands below the heading of a step.
func (l *signInWords) text(view flow.View) string {
	switch {
	case view.Step == flow.StepPassword && view.App == "":
		return l.ThenAccount
	case view.Step == flow.StepPassword:
		return l.Then
	case view.Step == flow.StepLinkSent && view.Elsewhere:
		return l.Elsewhere
	case view.Step == flow.StepEnrolApp && view.Again:
		return l.Recovered
	case view.Step != flow.StepCode:
		return l.Steps[view.Step].Text
	case view.Apps && view.Phone != "":
		return l.CodeOfEither
	case view.Apps || view.Phone == "":
		return l.CodeOfApp
	case view.Sent:
		return l.CodeSent
	}
	return l.CodeToSend
}

// turn is a button that turns to another step.
type turn struct {
	Step flow.Step
	Text string
}

func (l *signInWords) turns(others []flow.Step) (out []turn) {
	for _, step := range others {
		if text := l.Turns[step]; text != "" {
			out = append(out, turn{step, text})
		}
	}
	return out
}

// scope is what an app asks for; where it is not one of ours, by its name alone.
type scope struct{ Name, Text string }

func (l *signInWords) scopes(asked []string) (out []scope) {
	for _, name := range asked {
		out = append(out, scope{name, l.Scopes[name]})
	}
	return out
}

func (l *signInWords) goOn(view flow.View) string {
	if view.App == "" {
		return l.GoOnAccount
	}
	return l.GoOn
}

// waitText says for how many seconds to wait; empty for none.
func (l *signInWords) waitText(seconds int) string {
	switch seconds {
	case 0:
		return ""
	case 1:
		return l.WaitSecond
	}
	return strings.ReplaceAll(l.WaitSeconds, "{n}", strconv.Itoa(seconds))
}
