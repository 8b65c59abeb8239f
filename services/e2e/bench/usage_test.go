package bench_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// usage is the CPU in seconds that this process and its children have used so
// far, by what they are. Without /proc it is empty.
func (s *scene) usage() map[string]float64 {
	names := map[int]string{os.Getpid(): "client and mail server", s.api.PID(): "api", s.nats.PID(): "NATS"}
	if s.email != nil {
		names[s.email.PID()] = "email"
	}
	all := processes()
	used := map[string]float64{}
	if busy, ok := machine(); ok {
		used[everything] = busy
	}
	for pid, p := range all {
		if !descends(all, pid) {
			continue
		}
		name := names[pid]
		if name == "" {
			name = p.command // postgres, redis-server
		}
		used[name] += p.seconds
	}
	return used
}

// everything is the machine's own entry, with whatever else runs on it.
const everything = "machine"

// machine is the CPU in seconds that all processes have used since the start.
func machine() (seconds float64, ok bool) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	for i, field := range strings.Fields(first)[1:] {
		if i != 3 && i != 4 && i < 8 { // idle, waiting for disks, and guests, who are in it twice
			ticks, _ := strconv.ParseFloat(field, 64)
			seconds += ticks / ticksPerSecond
		}
	}
	return seconds, true
}

const ticksPerSecond = 100 // the kernel counts in hundredths

type process struct {
	command string
	parent  int
	seconds float64
}

func processes() map[int]process {
	all := map[int]process{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		head, tail, _ := strings.Cut(string(raw), ") ")
		id, command, _ := strings.Cut(head, " (")
		fields := strings.Fields(tail)
		pid, _ := strconv.Atoi(id)
		parent, _ := strconv.Atoi(fields[1])
		user, _ := strconv.ParseFloat(fields[11], 64)
		system, _ := strconv.ParseFloat(fields[12], 64)
		all[pid] = process{command, parent, (user + system) / ticksPerSecond}
	}
	return all
}

func descends(all map[int]process, pid int) bool {
	for ; pid > 1; pid = all[pid].parent {
		if pid == os.Getpid() {
			return true
		}
	}
	return false
}

// spent logs what a number of calls used between two looks, the most first.
func (s *scene) spent(what string, calls int, took time.Duration, before, after map[string]float64) {
	s.Helper()
	each := map[string]float64{}
	total := 0.0
	others := after[everything] - before[everything]
	delete(after, everything)
	for name, seconds := range after {
		each[name] = 1000 * (seconds - before[name]) / float64(calls)
		total += seconds - before[name]
	}
	names := slices.SortedFunc(maps.Keys(each), func(a, b string) int { return int(1e6 * (each[b] - each[a])) })
	var parts []string
	for _, name := range names {
		if each[name] >= 0.005 {
			parts = append(parts, fmt.Sprintf("%s %.2f", name, each[name]))
		}
	}
	s.Logf("%s: %d in %.1f s, on %.1f cores, while others used %.1f; CPU of each in ms: %s",
		what, calls, took.Seconds(), total/took.Seconds(), max(0, others-total)/took.Seconds(), strings.Join(parts, ", "))
}

// percentile is of durations in milliseconds.
func percentile(all []time.Duration, share float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	if len(sorted) == 0 {
		return 0
	}
	i := min(int(share*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[i]) / float64(time.Millisecond)
}
