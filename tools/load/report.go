package load

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// Report is what one run of a scenario measured. Members that a scenario does
// not measure are zero and not printed.
type Report struct {
	Scenario string `json:"scenario"`
	// Unit names what was counted ("call", "connect", "delivery", …).
	Unit   string        `json:"unit"`
	Count  int           `json:"count"`
	Failed int           `json:"failed,omitempty"`
	Took   time.Duration `json:"took_ns"`
	// Rate is units a second; CPU the server's microseconds for each unit.
	Rate float64 `json:"rate"`
	CPU  float64 `json:"server_cpu_us"`
	// Latencies of single units.
	P50, P95, P99, Max time.Duration `json:",omitempty"`
	// KiB is resident memory for each connection, Idle the server's CPU
	// microseconds for each connection and second.
	KiB  float64 `json:"kib_per_connection,omitempty"`
	Idle float64 `json:"idle_cpu_us_per_connection_s,omitempty"`
	// Others is the 99th percentile of bystanders during a flood.
	Others time.Duration `json:"others_p99_ns,omitempty"`
}

// Figure is the number by which two servers are compared: CPU for each unit,
// or the memory or idle cost where that is what the scenario is about.
func (r Report) Figure() (float64, string) {
	switch {
	case r.Scenario == "storm":
		return r.Took.Seconds(), "s until all were in"
	case r.Others > 0:
		return float64(r.Others.Microseconds()) / 1000, "ms p99 of the others"
	case r.KiB > 0:
		return r.KiB, "KiB per connection"
	case r.CPU > 0:
		return r.CPU, "server CPU-µs per " + r.Unit
	}
	return float64(r.P99.Microseconds()), "p99 µs"
}

// note is what else a comparison tells of a run.
func (r Report) note() string {
	switch {
	case r.Idle > 0:
		return fmt.Sprintf("idle %.2f CPU-µs per connection and second", r.Idle)
	case r.Scenario == "storm":
		return fmt.Sprintf("%d in, %d failed, %.0f CPU-µs each", r.Count, r.Failed, r.CPU)
	case r.Others > 0:
		return fmt.Sprintf("%.0f refused/s", r.Rate)
	case r.Rate > 0:
		return fmt.Sprintf("%.0f/s", r.Rate)
	}
	return ""
}

// Print writes the report for people.
func (r Report) Print(w io.Writer) {
	fmt.Fprintf(w, "%-10s %9d %ss", r.Scenario, r.Count, r.Unit)
	if r.Failed > 0 {
		fmt.Fprintf(w, "  %d failed", r.Failed)
	}
	if r.Rate > 0 {
		fmt.Fprintf(w, "  %.0f/s", r.Rate)
	}
	if r.CPU > 0 {
		fmt.Fprintf(w, "  server %.1f CPU-µs each", r.CPU)
	}
	if r.P99 > 0 {
		fmt.Fprintf(w, "  p50 %v p95 %v p99 %v max %v", r.P50, r.P95, r.P99, r.Max)
	}
	if r.KiB > 0 {
		fmt.Fprintf(w, "  %.1f KiB each", r.KiB)
	}
	if r.Idle > 0 {
		fmt.Fprintf(w, "  idle %.2f CPU-µs/s each", r.Idle)
	}
	if r.Others > 0 {
		fmt.Fprintf(w, "  others' p99 %v", r.Others)
	}
	fmt.Fprintln(w)
}

// samples gathers latencies from many goroutines.
type samples struct {
	mu  sync.Mutex
	all []time.Duration
}

func (s *samples) add(some []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, some...)
}

// quantile is exact: every sample is kept.
func (s *samples) quantile(q float64) time.Duration {
	if len(s.all) == 0 {
		return 0
	}
	return s.all[min(int(q*float64(len(s.all))), len(s.all)-1)].Round(time.Microsecond)
}

func (s *samples) into(r *Report) {
	slices.Sort(s.all)
	r.P50, r.P95, r.P99, r.Max = s.quantile(.5), s.quantile(.95), s.quantile(.99), s.quantile(1)
}
