package twilio

import (
	"crypto/hmac"
	"crypto/sha1" // #nosec G505 -- the signature Twilio defined
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Callbacks say which statuses are called back after a message was accepted,
// and how. The zero value calls back sent and delivered, once, in order and
// well signed.
type Callbacks struct {
	Statuses     []string          `json:"statuses,omitempty"`   // default sent, delivered
	ErrorCode    int               `json:"error_code,omitempty"` // with failed and undelivered
	Duplicate    bool              `json:"duplicate,omitempty"`  // every callback twice
	Reverse      bool              `json:"reverse,omitempty"`    // the last status first
	BadSignature bool              `json:"bad_signature,omitempty"`
	Extra        map[string]string `json:"extra,omitempty"` // parameters nobody announced
	Off          bool              `json:"off,omitempty"`
}

func (c Callbacks) sequence() []string {
	statuses := slices.Clone(c.Statuses)
	if len(statuses) == 0 {
		statuses = []string{"sent", "delivered"}
	}
	if c.Reverse {
		slices.Reverse(statuses)
	}
	if !c.Duplicate {
		return statuses
	}
	var twice []string
	for _, status := range statuses {
		twice = append(twice, status, status)
	}
	return twice
}

// SetCallbacks changes how messages are called back that are accepted from
// now on.
func (s *Server) SetCallbacks(c Callbacks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callbacks = c
}

// callBack starts the callbacks of one message. They end with Close.
func (s *Server) callBack(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.callbacks.Off || m.StatusCallback == "" {
		return
	}
	s.pending++
	go s.callBackAll(m, s.callbacks) // Settle and Close wait for it
}

func (s *Server) callBackAll(m Message, plan Callbacks) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pending--; s.pending == 0 {
			s.settled.Broadcast()
		}
	}()
	for _, status := range plan.sequence() {
		s.setStatus(m.SID, status)
		answer := s.post(m, status, plan)
		s.mu.Lock()
		s.log.Callbacks = append(s.log.Callbacks, Callback{
			At: s.options.Now(), SID: m.SID, Status: status, URL: m.StatusCallback, Answer: answer,
		})
		s.mu.Unlock()
	}
}

// Settle waits until every callback that was started is answered.
func (s *Server) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.pending > 0 {
		s.settled.Wait()
	}
}

func (s *Server) setStatus(sid, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.resources[sid]; r != nil {
		r.status, r.updated = status, s.options.Now()
	}
}

// post sends one callback and returns the HTTP status, 0 when there is none.
func (s *Server) post(m Message, status string, plan Callbacks) int {
	form := url.Values{
		"AccountSid":    {s.options.AccountSID},
		"ApiVersion":    {"2010-04-01"},
		"From":          {m.From},
		"MessageSid":    {m.SID},
		"MessageStatus": {status},
		"SmsSid":        {m.SID},
		"SmsStatus":     {status},
		"To":            {m.To},
	}
	if m.MessagingServiceSID != "" {
		form.Set("MessagingServiceSid", m.MessagingServiceSID)
	}
	if plan.ErrorCode != 0 && (status == "failed" || status == "undelivered") {
		form.Set("ErrorCode", strconv.Itoa(plan.ErrorCode))
	}
	for name, value := range plan.Extra {
		form.Set(name, value)
	}
	req, err := http.NewRequestWithContext(s.stopped, http.MethodPost, m.StatusCallback, strings.NewReader(form.Encode()))
	if err != nil {
		return 0
	}
	token := s.options.AuthToken
	if plan.BadSignature {
		token += "x"
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	req.Header.Set("X-Twilio-Signature", Sign(token, m.StatusCallback, form))
	req.Header.Set("User-Agent", "TwilioProxy/1.1")
	res, err := s.options.Client.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, longestForm))
	return res.StatusCode
}

// Sign makes the value of X-Twilio-Signature: HMAC-SHA1 over the URL followed
// by the sorted parameters, in base64.
func Sign(token, address string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(mac, address)
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		_, _ = io.WriteString(mac, name+form.Get(name))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// twilioTime is how Twilio writes times.
func twilioTime(t time.Time) string { return t.UTC().Format(time.RFC1123Z) }
