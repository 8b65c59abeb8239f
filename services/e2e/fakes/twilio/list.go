package twilio

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// list shows messages, newest first, narrowed by To, From and DateSent.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	if !s.authorized(w, r) {
		return
	}
	query := r.URL.Query()
	if fault := s.takeListFault(); fault != nil && !s.misread(w, r, *fault) {
		return
	}
	s.noteLook(query.Get("To"), "200")
	size := between(query.Get("PageSize"), 50, 1, 1000)
	page := between(query.Get("Page"), 0, 0, 1<<20)

	s.mu.Lock()
	var found []map[string]any
	for _, m := range slices.Backward(s.log.Messages) {
		if matches(m, query) && s.options.Now().Sub(m.At) >= s.options.ListLag {
			found = append(found, s.resources[m.SID].json(s.options.AccountSID))
		}
	}
	s.mu.Unlock()

	start := min(page*size, len(found))
	end := min(start+size, len(found))
	at := func(page int) string {
		q := maps.Clone(query)
		q.Set("Page", strconv.Itoa(page))
		q.Set("PageSize", strconv.Itoa(size))
		return r.URL.Path + "?" + q.Encode()
	}
	var next, previous any
	if end < len(found) {
		next = at(page + 1)
	}
	if page > 0 {
		previous = at(page - 1)
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"messages":          append([]map[string]any{}, found[start:end]...),
		"page":              page,
		"page_size":         size,
		"start":             start,
		"end":               max(end-1, 0),
		"first_page_uri":    at(0),
		"next_page_uri":     next,
		"previous_page_uri": previous,
		"uri":               at(page),
	})
}

// takeListFault removes and returns the fault for a look, nil for none.
func (s *Server) takeListFault() *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.faults.List
	if len(list) == 0 {
		return nil
	}
	s.faults.List = list[1:]
	return &list[0]
}

// misread plays one fault of the list. It reports whether the list is to be
// shown after it.
func (s *Server) misread(w http.ResponseWriter, r *http.Request, f Fault) bool {
	to := r.URL.Query().Get("To")
	if !s.stall(r, f.StallMS) {
		s.noteLook(to, answerAbandoned)
		panic(http.ErrAbortHandler)
	}
	switch {
	case f.Drop != "":
		s.noteLook(to, answerDropped)
		panic(http.ErrAbortHandler) // closes the connection without an answer
	case f.Garbage:
		s.noteLook(to, answerGarbage)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"messages": [{"sid": "SM`)
	case f.Redirect != "":
		s.noteLook(to, answerRedirected)
		http.Redirect(w, r, f.Redirect, http.StatusTemporaryRedirect)
	case f.Status != 0:
		s.noteLook(to, strconv.Itoa(f.Status))
		writeFault(w, f)
	default:
		return true
	}
	return false
}

func (s *Server) noteLook(to, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.Looks = append(s.log.Looks, Look{At: s.options.Now(), To: to, Answer: answer})
}

func between(text string, fallback, low, high int) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fallback
	}
	return min(max(n, low), high)
}

// matches applies the filters. An inequality on DateSent is part of the
// parameter's name, as Twilio has it.
func matches(m Message, query url.Values) bool {
	if to := query.Get("To"); to != "" && to != m.To {
		return false
	}
	if from := query.Get("From"); from != "" && from != m.From {
		return false
	}
	day := m.At.UTC().Format(time.DateOnly)
	if d := query.Get("DateSent"); d != "" && day != dayOf(d) {
		return false
	}
	if d := query.Get("DateSent>"); d != "" && m.At.Before(timeOf(d)) {
		return false
	}
	if d := query.Get("DateSent<"); d != "" && day > dayOf(d) {
		return false
	}
	return true
}

// timeOf reads a day or a full time; a day starts at midnight UTC.
func timeOf(text string) time.Time {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t
	}
	t, _ := time.Parse(time.DateOnly, text)
	return t
}

func dayOf(text string) string { return timeOf(text).UTC().Format(time.DateOnly) }
