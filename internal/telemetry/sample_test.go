package telemetry

import (
	"math"
	"testing"
	"time"
)

func TestSample(t *testing.T) {
	m := NewMetrics()
	m.Gauge("things", "Things.", func() float64 { return 7 })
	for range 98 {
		m.Store.Observe("read", "", "ok", 100*time.Microsecond)
	}
	before, err := m.Sample()
	if err != nil {
		t.Fatal(err)
	}
	m.Store.Observe("read", "", "ok", 10*time.Millisecond)
	m.Store.Observe("read", "", "ok", time.Hour)
	m.Calls.Observe("login", "ddp", "ok", time.Second)
	m.Calls.Observe("login", "rest", "refused", time.Second)
	s, err := m.Sample()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Sum("things", "")[""]; got != 7 {
		t.Error(got)
	}
	if got := s.Sum("calls_total", "outcome"); got["ok"] != 1 || got["refused"] != 1 || s.Sum("calls_total", "door")["rest"] != 1 {
		t.Error(got)
	}
	if s.Sum("go_goroutines", "")[""] < 1 {
		t.Error("no goroutines")
	}
	all := s.Histograms("store_seconds", "operation")["read"]
	if p50, p99 := all.Quantile(0.5), all.Quantile(0.99); all.Count != 100 || p50 < 0.00005 || p50 > 0.0002 || p99 != 0.025 {
		t.Error(all.Count, p50, p99)
	}
	late := all.Since(before.Histograms("store_seconds", "operation")["read"])
	if p50 := late.Quantile(0.5); late.Count != 2 || p50 != 0.025 || late.Quantile(0.99) != 5 {
		t.Error(late, p50)
	}
	if !math.IsNaN((Histogram{}).Quantile(0.5)) || len((*Sample)(nil).Sum("things", "")) != 0 {
		t.Error("something of nothing")
	}
}
