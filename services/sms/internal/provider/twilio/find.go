package twilio

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"countersign.dev/pkg/courier"
)

var _ courier.Finder = (*Provider)(nil)

const (
	listPage    = 50
	listPages   = 4         // of a number's newest messages; more is not a person waiting for a code
	longestList = 512 << 10 // octets; a page has about 60 KiB
)

// errUnsure is a list that was read and does not tell.
var errUnsure = &courier.Failure{Reason: courier.ReasonUnsure}

// Find reads Twilio's list of the messages to m.To and returns the SID of one
// with the text of m that was created since then, empty when there is none.
//
// The list is narrowed by the number only. Its filter of dates is about when a
// message was sent, and one that still waits at Twilio has no such date: it
// might be left out, and it is the one that matters.
func (p *Provider) Find(ctx context.Context, m courier.Message, since time.Time) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	unsure := false
	var next url.Values
	for range listPages {
		page, err := p.page(ctx, m.To, next)
		if err != nil {
			return "", err
		}
		seen := compare(page.Messages, m, since)
		if seen.sid != "" {
			return seen.sid, nil
		}
		unsure = unsure || seen.unsure
		last := page.NextPageUri == nil || *page.NextPageUri == "" || seen.past
		switch {
		case last && unsure:
			return "", errUnsure
		case last:
			return "", nil
		}
		u, err := url.Parse(*page.NextPageUri)
		if err != nil {
			return "", unreadable(nil)
		}
		next = u.Query() // of the address only this: where to go is our own business
	}
	return "", errUnsure
}

// page reads one page of the list, the first one when next is empty.
func (p *Provider) page(ctx context.Context, to string, next url.Values) (*openapi.ListMessageResponse, error) {
	x := &exchange{ctx: ctx, base: p.base, next: p.transport, most: longestList}
	params := (&openapi.ListMessageParams{}).SetPathAccountSid(p.cfg.AccountSID).SetTo(to).SetPageSize(listPage)
	page, err := p.api(x).PageMessage(params, next.Get("PageToken"), next.Get("Page"))
	if failure := x.failure(err); failure != nil {
		return nil, failure
	}
	if page == nil || page.Messages == nil { // an empty list is there; this is something else
		return nil, unreadable(errors.New("the answer is not a list of messages"))
	}
	return page, nil
}

// seen is what one page says.
type seen struct {
	sid    string
	unsure bool // a message that may be ours hides its text
	past   bool // all of the page is older than what we look for
}

// compare looks for a message on a page. Twilio puts a sentence before the
// texts of trial accounts and empties those that were redacted.
func compare(page []openapi.ApiV2010Message, m courier.Message, since time.Time) seen {
	s := seen{past: len(page) > 0}
	for _, found := range page {
		if created, err := time.Parse(time.RFC1123Z, text(found.DateCreated)); err == nil && created.Before(since) {
			continue
		}
		s.past = false
		body, sid := text(found.Body), text(found.Sid)
		switch {
		case text(found.To) != m.To:
		case !sidShape.MatchString(sid), body == "":
			s.unsure = true
		case strings.HasSuffix(strings.TrimSpace(body), strings.TrimSpace(m.Text)):
			return seen{sid: sid}
		}
	}
	return s
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}
