package twilio

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// resource is a message as the API shows it.
type resource struct {
	message Message
	status  string
	updated time.Time
}

// json builds Twilio's message resource. What has no value yet is null.
func (r *resource) json(account string) map[string]any {
	m := r.message
	path := "/2010-04-01/Accounts/" + account + "/Messages/" + m.SID
	out := map[string]any{
		"account_sid":           account,
		"api_version":           "2010-04-01",
		"body":                  m.Body,
		"date_created":          twilioTime(m.At),
		"date_sent":             nil,
		"date_updated":          twilioTime(r.updated),
		"direction":             "outbound-api",
		"error_code":            nil,
		"error_message":         nil,
		"from":                  nil,
		"messaging_service_sid": nil,
		"num_media":             "0",
		"num_segments":          strconv.Itoa(m.Segments),
		"price":                 nil,
		"price_unit":            "USD",
		"sid":                   m.SID,
		"status":                r.status,
		"subresource_uris":      map[string]string{"media": path + "/Media.json"},
		"to":                    m.To,
		"uri":                   path + ".json",
	}
	if m.From != "" {
		out["from"] = m.From
	}
	if m.MessagingServiceSID != "" {
		out["messaging_service_sid"] = m.MessagingServiceSID
	}
	if r.status != "queued" {
		out["date_sent"] = twilioTime(r.updated)
	}
	return out
}

// fetch shows one message.
func (s *Server) fetch(w http.ResponseWriter, r *http.Request) {
	if !s.authorized(w, r) {
		return
	}
	sid, ok := strings.CutSuffix(r.PathValue("file"), ".json")
	s.mu.Lock()
	found := s.resources[sid]
	var body map[string]any
	if ok && found != nil {
		body = found.json(s.options.AccountSID)
	}
	s.mu.Unlock()
	if body == nil {
		writeError(w, failure{http.StatusNotFound, 20404, "No resource at " + r.URL.Path})
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// failure is an error in Twilio's format.
type failure struct {
	status, code int
	message      string
}

func writeError(w http.ResponseWriter, f failure) {
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
	}
	writeJSON(w, f.status, map[string]any{
		"code":      f.code,
		"message":   f.message,
		"more_info": "https://www.twilio.com/docs/errors/" + strconv.Itoa(f.code),
		"status":    f.status,
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body)
}

// The GSM 03.38 alphabet, counted here without the code under test.
const (
	gsm = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡" +
		"ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmTwice = "\f^{}\\[~]|€"
)

// segments counts what an operator would bill.
func segments(body string) int {
	septets := 0
	for _, r := range body {
		switch {
		case strings.ContainsRune(gsm, r):
			septets++
		case strings.ContainsRune(gsmTwice, r):
			septets += 2
		default:
			return parts(len(utf16.Encode([]rune(body))), 70, 67)
		}
	}
	return parts(septets, 160, 153)
}

func parts(units, single, each int) int {
	if units <= single {
		return 1
	}
	return (units + each - 1) / each
}
