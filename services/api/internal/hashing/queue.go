package hashing

import "slices"

// job is one call that waits or runs.
type job struct {
	org, key string
	state    state
	decided  chan struct{} // closed when the state changes from waiting
}

type state int

const (
	waiting state = iota
	begun
	yielded // lost its place
)

// queue is one line per organization, and whose turn it is. It is bounded by
// its user, and short: it is searched from end to end.
type queue struct {
	lines  []*line // the next to have a turn first; none is empty
	length int     // of all lines
}

type line struct {
	org  string
	jobs []*job // in the order in which they came
}

func (q *queue) line(org string) (at int, l *line) {
	at = slices.IndexFunc(q.lines, func(l *line) bool { return l.org == org })
	if at < 0 {
		return at, nil
	}
	return at, q.lines[at]
}

// of is how many jobs of an organization wait.
func (q *queue) of(org string) int {
	if _, l := q.line(org); l != nil {
		return len(l.jobs)
	}
	return 0
}

// longest is the line with the most jobs, nil when nobody waits.
func (q *queue) longest() *line {
	var longest *line
	for _, l := range q.lines {
		if longest == nil || len(l.jobs) > len(longest.jobs) {
			longest = l
		}
	}
	return longest
}

func (q *queue) add(j *job) {
	_, l := q.line(j.org)
	if l == nil {
		l = &line{org: j.org}
		q.lines = append(q.lines, l)
	}
	l.jobs = append(l.jobs, j)
	q.length++
}

// take removes and returns the first job that may run, of the organization
// whose turn it is, which then goes behind the others. It returns nil when
// none may.
func (q *queue) take(may func(*job) bool) *job {
	for at, l := range q.lines {
		i := slices.IndexFunc(l.jobs, may)
		if i < 0 {
			continue
		}
		j := l.jobs[i]
		q.lines = append(slices.Delete(q.lines, at, at+1), l)
		q.remove(j)
		return j
	}
	return nil
}

// remove takes a job out of its line.
func (q *queue) remove(j *job) {
	at, l := q.line(j.org)
	if l == nil {
		return
	}
	i := slices.Index(l.jobs, j)
	if i < 0 {
		return
	}
	l.jobs = slices.Delete(l.jobs, i, i+1)
	q.length--
	if len(l.jobs) == 0 {
		q.lines = slices.Delete(q.lines, at, at+1)
	}
}
