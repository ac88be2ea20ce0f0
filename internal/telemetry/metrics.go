package telemetry

import (
	"maps"
	"net/http"
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

// Metrics is the program's set of Prometheus metrics. Recording costs a few map
// look-ups and atomic additions and may be done from anywhere; nothing is
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
		m.Calls.count, m.Calls.seconds, m.Store.count, m.Store.seconds, m.Mail, m.Panics,
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

// handles keeps what a vector of prometheus.client_golang gives for a label, since
// the vector takes three times as long to find it. It is read without a lock and
// copied when a label is new.
type handles[K comparable, T any] struct {
	find  func(K) T // asks the vector
	other K         // the label of everything beyond maxLabels
	mu    sync.Mutex
	m     atomic.Pointer[map[K]T]
}

func (h *handles[K, T]) all() map[K]T {
	if p := h.m.Load(); p != nil {
		return *p
	}
	return nil
}

func (h *handles[K, T]) get(key K) T {
	if v, ok := h.all()[key]; ok {
		return v
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.all()
	if len(old) >= maxLabels {
		key = h.other
	}
	if v, ok := old[key]; ok {
		return v
	}
	fresh := make(map[K]T, len(old)+1)
	maps.Copy(fresh, old)
	v := h.find(key)
	fresh[key] = v
	h.m.Store(&fresh)
	return v
}

// Counts is a counter with one label.
type Counts struct {
	*prometheus.CounterVec
	labels handles[string, prometheus.Counter]
}

func newCounts(name, help, label string) *Counts {
	c := &Counts{CounterVec: prometheus.NewCounterVec(prometheus.CounterOpts{Name: namespace + name, Help: help}, []string{label})}
	c.labels.other, c.labels.find = Other, func(label string) prometheus.Counter { return c.WithLabelValues(label) }
	return c
}

// Add counts n under a label, which must come from the program, not from a client.
func (c *Counts) Add(label string, n uint64) { c.labels.get(label).Add(float64(n)) }

// bounds are the upper edges of the duration histograms in seconds: from a call
// that touches memory to one that waits for a password hash or a cut store.
var bounds = []float64{0.00005, 0.0002, 0.001, 0.005, 0.025, 0.1, 0.25, 1, 5}

// Timings counts and times things by name. How often each outcome occurred is
// counted by name, door and outcome.
type Timings struct {
	count   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	names   handles[string, *timing]
}

// timing is what is known of one name: how long, and how often with which end.
type timing struct {
	seconds prometheus.Observer
	ends    handles[end, prometheus.Counter]
}

// end is how one act came in and went out.
type end struct{ door, outcome string }

func newTimings(count, countHelp, seconds, secondsHelp string, labels []string) *Timings {
	t := &Timings{
		count:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: namespace + count + "_total", Help: countHelp}, labels),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: namespace + seconds, Help: secondsHelp, Buckets: bounds}, labels[:1]),
	}
	doors := len(labels) == 3
	t.names.other, t.names.find = Other, func(name string) *timing {
		one := &timing{seconds: t.seconds.WithLabelValues(name)}
		one.ends.other, one.ends.find = end{Other, Other}, func(e end) prometheus.Counter {
			if doors {
				return t.count.WithLabelValues(name, e.door, e.outcome)
			}
			return t.count.WithLabelValues(name, e.outcome)
		}
		return one
	}
	return t
}

// Observe records one act. name must come from the program's own tables: pass
// Other for a name that a client made up. door is empty where there are no doors.
func (t *Timings) Observe(name, door, outcome string, d time.Duration) {
	one := t.names.get(name)
	one.seconds.Observe(d.Seconds())
	one.ends.get(end{door, outcome}).Inc()
}
