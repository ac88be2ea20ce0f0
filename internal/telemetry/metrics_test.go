package telemetry

import (
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("%d %v\n%s", w.Code, err, text)
	}
	return string(text)
}

func TestScrape(t *testing.T) {
	m := NewMetrics()
	m.Gauge("sessions", "Open sessions.", func() float64 { return 7 })
	m.Counter("log_records_lost_total", "Lost.", func() float64 { return 3 })
	m.Calls.Observe("login", "ddp", "ok", 2*time.Millisecond)
	m.Calls.Observe("login", "rest", "refused", 90*time.Millisecond)
	m.Calls.Observe("login", "ddp", "ok", 10*time.Second)
	m.Store.Observe("read", "", "ok", time.Microsecond)
	m.Counters("disconnects_total", "Ended connections.", "reason", func(add func(string, float64)) { add("slow", 2); add("left", 0) })
	m.Mail.Add("sent", 1)
	text := scrape(t, m)
	for _, want := range []string{
		`ddpserver_calls_total{door="ddp",method="login",outcome="ok"} 2`,
		`ddpserver_calls_total{door="rest",method="login",outcome="refused"} 1`,
		`ddpserver_call_seconds_bucket{method="login",le="0.001"} 0`,
		`ddpserver_call_seconds_bucket{method="login",le="0.005"} 1`,
		`ddpserver_call_seconds_bucket{method="login",le="0.1"} 2`,
		`ddpserver_call_seconds_bucket{method="login",le="+Inf"} 3`,
		`ddpserver_call_seconds_count{method="login"} 3`,
		`ddpserver_store_operations_total{operation="read",outcome="ok"} 1`,
		`ddpserver_disconnects_total{reason="slow"} 2`,
		`ddpserver_mails_total{outcome="sent"} 1`,
		"ddpserver_sessions 7", "ddpserver_log_records_lost_total 3", "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %s", want)
		}
	}
	if strings.Contains(text, `method="nothing"`) || strings.Contains(text, `outcome="x"`) {
		t.Error("what was never counted is shown")
	}
}

// No client may grow the metrics without bound, even if a caller forgets Other.
func TestLabelsAreBounded(t *testing.T) {
	m := NewMetrics()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2 * maxLabels {
				m.Calls.Observe(fmt.Sprint("m", g, "-", i), "ddp", "ok", 0)
				m.Panics.Add(fmt.Sprint("r", i), 1)
			}
		})
	}
	wg.Wait()
	text := scrape(t, m)
	if n := strings.Count(text, "ddpserver_calls_total{"); n > maxLabels+1 {
		t.Errorf("%d names", n)
	}
	other := 0
	_, line, _ := strings.Cut(text, `ddpserver_calls_total{door="ddp",method="other",outcome="ok"} `)
	if _, err := fmt.Sscan(line, &other); err != nil || other < 7*maxLabels-1 {
		t.Errorf("other = %d, %v", other, err)
	}
	if n := strings.Count(text, "ddpserver_panics_total{"); n > maxLabels+1 {
		t.Errorf("%d reasons", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	m := NewMetrics()
	b.ReportAllocs()
	for b.Loop() {
		m.Calls.Observe("getServerTime", "ddp", "ok", 3*time.Microsecond)
	}
}
