package telemetry

import "math"

// Sample is all metrics at one moment, for those who show them without a scraper.
type Sample struct{ points map[string][]point }

type point struct {
	labels map[string]string
	value  float64
	times  Histogram
}

// Histogram is how often something took how long: Counts[i] times at most Bounds[i]
// seconds, Count times in all.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Count  uint64
}

// Sample reads every metric, as a scrape does; it costs about as much.
func (m *Metrics) Sample() (*Sample, error) {
	families, err := m.reg.Gather()
	if err != nil {
		return nil, err
	}
	s := &Sample{points: make(map[string][]point, len(families))}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			p := point{labels: map[string]string{}, value: metric.GetCounter().GetValue() + metric.GetGauge().GetValue()}
			for _, l := range metric.GetLabel() {
				p.labels[l.GetName()] = l.GetValue()
			}
			if h := metric.GetHistogram(); h != nil {
				p.times.Count = h.GetSampleCount()
				for _, b := range h.GetBucket() {
					p.times.Bounds, p.times.Counts = append(p.times.Bounds, b.GetUpperBound()), append(p.times.Counts, b.GetCumulativeCount())
				}
			}
			s.points[f.GetName()] = append(s.points[f.GetName()], p)
		}
	}
	return s, nil
}

// Sum adds a metric up, without the program's prefix for its own, by the values of one
// label; everything is under "" for an empty label. A nil sample has nothing.
func (s *Sample) Sum(name, label string) map[string]float64 {
	out := map[string]float64{}
	for _, p := range s.named(name) {
		out[p.labels[label]] += p.value
	}
	return out
}

// Histograms are those of a metric by the values of one label.
func (s *Sample) Histograms(name, label string) map[string]Histogram {
	out := map[string]Histogram{}
	for _, p := range s.named(name) {
		out[p.labels[label]] = p.times
	}
	return out
}

func (s *Sample) named(name string) []point {
	if s == nil {
		return nil
	}
	if own := s.points[namespace+name]; own != nil {
		return own
	}
	return s.points[name]
}

// Since is what was counted after an earlier state of the same histogram.
func (h Histogram) Since(earlier Histogram) Histogram {
	if len(earlier.Counts) != len(h.Counts) {
		return h
	}
	d := Histogram{Bounds: h.Bounds, Counts: make([]uint64, len(h.Counts)), Count: h.Count - earlier.Count}
	for i := range h.Counts {
		d.Counts[i] = h.Counts[i] - earlier.Counts[i]
	}
	return d
}

// And is both together.
func (h Histogram) And(other Histogram) Histogram {
	if len(h.Counts) == 0 {
		return other
	}
	sum := Histogram{Bounds: h.Bounds, Counts: make([]uint64, len(h.Counts)), Count: h.Count + other.Count}
	for i := range h.Counts {
		sum.Counts[i] = h.Counts[i] + other.Counts[i]
	}
	return sum
}

// Quantile is the time in seconds that a part q of all took at most, between the
// bounds in proportion; what is above the last bound counts as that. NaN for none.
func (h Histogram) Quantile(q float64) float64 {
	rank, lower, below := q*float64(h.Count), 0.0, uint64(0)
	for i, n := range h.Counts {
		if h.Count > 0 && float64(n) >= rank {
			if n == below {
				return h.Bounds[i]
			}
			return lower + (h.Bounds[i]-lower)*(rank-float64(below))/float64(n-below)
		}
		lower, below = h.Bounds[i], n
	}
	if h.Count == 0 {
		return math.NaN()
	}
	return lower
}
