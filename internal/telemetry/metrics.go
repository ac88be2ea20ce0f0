package telemetry

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// namespace starts the name of every metric of ours.
const namespace = "ddpserver_"

// maxLabels bounds how many values a label may take; the rest is "other", so
// that no client can grow the metrics by inventing names.
const maxLabels = 512

// Other is the label of everything that is not known by name.
const Other = "other"

// Metrics is the program's set of Prometheus metrics. Recording costs one map
// look-up and a few atomic additions and may be done from anywhere; nothing is
// formatted before somebody asks.
type Metrics struct {
	reg *prometheus.Registry

	// Calls are method calls and REST requests by name and outcome.
	Calls *Timings
	// Store are operations of the store by name and outcome.
	Store *Timings
	// Mail are mails by what became of them.
	Mail *Counts
	// Panics are panics of handlers by method.
	Panics *Counts
}

// NewMetrics makes the metrics, with the runtime's and the process's own.
func NewMetrics() *Metrics {
	m := &Metrics{
		reg: prometheus.NewRegistry(),
		Calls: newTimings("calls", "Calls by method, door and outcome.", "call_seconds", "Time of calls from the router's door to its answer, by method.",
			[]string{"method", "door", "outcome"}),
		Store: newTimings("store_operations", "Operations of the store by name and outcome.", "store_seconds", "Time of operations of the store.",
			[]string{"operation", "outcome"}),
		Mail:   newCounts("mails_total", "Mails by outcome.", "outcome"),
		Panics: newCounts("panics_total", "Panics of handlers by method.", "method"),
	}
	m.reg.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.Calls, m.Store, m.Mail, m.Panics,
	)
	return m
}

// Gauge registers a value that is read at scrape time, such as a queue's depth.
// name is without prefix. Registering a name twice is a programming error and panics.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: namespace + name, Help: help}, read))
}

// Counter registers a total that only grows and is read at scrape time.
func (m *Metrics) Counter(name, help string, read func() float64) {
	m.reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: namespace + name, Help: help}, read))
}

// Counters registers totals with one label that are read at scrape time; read
// calls add for each value of the label.
func (m *Metrics) Counters(name, help, label string, read func(add func(value string, total float64))) {
	m.reg.MustRegister(&readings{desc: prometheus.NewDesc(namespace+name, help, []string{label}, nil), read: read})
}

// readings is a collector of totals that others keep.
type readings struct {
	desc *prometheus.Desc
	read func(add func(value string, total float64))
}

func (r *readings) Describe(ch chan<- *prometheus.Desc) { ch <- r.desc }

func (r *readings) Collect(ch chan<- prometheus.Metric) {
	r.read(func(value string, total float64) {
		ch <- prometheus.MustNewConstMetric(r.desc, prometheus.CounterValue, total, value)
	})
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{})
}

// grown is a map that is read without a lock and copied when a key is new.
type grown[K comparable, T any] struct {
	mu sync.Mutex
	m  atomic.Pointer[map[K]*T]
}

func (g *grown[K, T]) all() map[K]*T {
	if p := g.m.Load(); p != nil {
		return *p
	}
	return nil
}

// get finds the value of key, or makes it; beyond maxLabels keys, that of other.
func (g *grown[K, T]) get(key, other K) *T {
	if v := g.all()[key]; v != nil {
		return v
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.all()
	if len(old) >= maxLabels {
		key = other
	}
	if v := old[key]; v != nil {
		return v
	}
	fresh := make(map[K]*T, len(old)+1)
	maps.Copy(fresh, old)
	v := new(T)
	fresh[key] = v
	g.m.Store(&fresh)
	return v
}

// Counts is a counter with one label.
type Counts struct {
	desc *prometheus.Desc
	m    grown[string, atomic.Uint64]
}

func newCounts(name, help, label string) *Counts {
	return &Counts{desc: prometheus.NewDesc(namespace+name, help, []string{label}, nil)}
}

// Add counts n under a label, which must come from the program, not from a client.
func (c *Counts) Add(label string, n uint64) { c.m.get(label, Other).Add(n) }

// Value is the count under a label.
func (c *Counts) Value(label string) uint64 {
	if v := c.m.all()[label]; v != nil {
		return v.Load()
	}
	return 0
}

// Describe implements prometheus.Collector.
func (c *Counts) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector.
func (c *Counts) Collect(ch chan<- prometheus.Metric) {
	for label, n := range c.m.all() {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(n.Load()), label)
	}
}

// bounds are the upper edges of the duration histograms in seconds: from a call
// that touches memory to one that waits for a password hash or a cut store.
var bounds = []float64{0.00005, 0.0002, 0.001, 0.005, 0.025, 0.1, 0.25, 1, 5}

// series is what is known of one name: how long, and how often with which end.
type series struct {
	buckets [10]atomic.Uint64 // one for each bound, and one above them
	nanos   atomic.Int64
	ends    grown[end, atomic.Uint64]
}

// end is how one act came in and went out.
type end struct{ door, outcome string }

// Timings counts and times things by name; how often each outcome occurred is
// kept beside the name and the door it came through.
type Timings struct {
	count, seconds *prometheus.Desc
	doors          bool
	m              grown[string, series]
}

func newTimings(count, countHelp, seconds, secondsHelp string, labels []string) *Timings {
	return &Timings{
		doors:   len(labels) == 3,
		count:   prometheus.NewDesc(namespace+count+"_total", countHelp, labels, nil),
		seconds: prometheus.NewDesc(namespace+seconds, secondsHelp, labels[:1], nil),
	}
}

// Observe records one act. name must come from the program's own tables: pass
// Other for a name that a client made up. door is empty where there are no doors.
func (t *Timings) Observe(name, door, outcome string, d time.Duration) {
	s := t.m.get(name, Other)
	i, _ := slices.BinarySearch(bounds, d.Seconds())
	s.buckets[i].Add(1)
	s.nanos.Add(int64(d))
	s.ends.get(end{door, outcome}, end{Other, Other}).Add(1)
}

// Count is how often name ended with outcome, over all doors.
func (t *Timings) Count(name, outcome string) (n uint64) {
	if s := t.m.all()[name]; s != nil {
		for key, v := range s.ends.all() {
			if key.outcome == outcome {
				n += v.Load()
			}
		}
	}
	return n
}

// Describe implements prometheus.Collector.
func (t *Timings) Describe(ch chan<- *prometheus.Desc) { ch <- t.count; ch <- t.seconds }

// Collect implements prometheus.Collector.
func (t *Timings) Collect(ch chan<- prometheus.Metric) {
	for name, s := range t.m.all() {
		cumulative, total := map[float64]uint64{}, uint64(0)
		for i := range s.buckets {
			total += s.buckets[i].Load()
			if i < len(bounds) {
				cumulative[bounds[i]] = total
			}
		}
		ch <- prometheus.MustNewConstHistogram(t.seconds, total, time.Duration(s.nanos.Load()).Seconds(), cumulative, name)
		for key, n := range s.ends.all() { // the registry sorts
			values := []string{name, key.door, key.outcome}
			if !t.doors {
				values = []string{name, key.outcome}
			}
			ch <- prometheus.MustNewConstMetric(t.count, prometheus.CounterValue, float64(n.Load()), values...)
		}
	}
}
