package random

import "unicode/utf16"

// DefaultStream is the name of the stream that Random.id() of a method uses.
const DefaultStream = "default"

// Stream is one Alea generator (docs/wire/ddp.md D9). It is predictable, and is
// not safe for concurrent use.
type Stream struct{ s0, s1, s2, c float64 }

// Streams holds the named streams of one method invocation. It is not safe for
// concurrent use.
type Streams struct {
	seed  string
	named map[string]*Stream
}

// NewStreams takes the randomSeed of a method call. An empty seed is replaced
// by a fresh one of 20 hexadecimal digits, as Meteor does.
func NewStreams(seed string) *Streams {
	if seed == "" {
		seed = Hex(20)
	}
	return &Streams{seed: seed, named: make(map[string]*Stream, 1)}
}

// Stream gives the stream of that name; it goes on where it was left. New
// documents of collection C use "/collection/C", a nested call of method M
// takes Hex(20) of "/rpc/M" as its seed. The empty name is DefaultStream.
func (s *Streams) Stream(name string) *Stream {
	if name == "" {
		name = DefaultStream
	}
	st := s.named[name]
	if st == nil {
		st = NewStream(s.seed, name)
		s.named[name] = st
	}
	return st
}

// NewStream seeds a generator with a list of texts.
func NewStream(seeds ...string) *Stream {
	m := mash{n: 0xefc8249d}
	s := &Stream{c: 1}
	s.s0, s.s1, s.s2 = m.feed(" "), m.feed(" "), m.feed(" ")
	for _, seed := range seeds {
		for _, state := range []*float64{&s.s0, &s.s1, &s.s2} {
			if *state -= m.feed(seed); *state < 0 {
				*state++
			}
		}
	}
	return s
}

// Fraction draws a number in [0, 1).
//
// Every product stands in an explicit conversion: the language lets a compiler
// fuse a product and a sum into one rounding, which would change the sequence.
func (s *Stream) Fraction() float64 {
	t := float64(2091639*s.s0) + float64(s.c*2.3283064365386963e-10)
	s.s0, s.s1 = s.s1, s.s2
	s.c = float64(int32(t))
	s.s2 = t - s.c
	return s.s2
}

// ID draws 17 characters of the id alphabet.
func (s *Stream) ID() string { return s.text(idAlphabet, idLength) }

// Hex draws n lower-case hexadecimal digits. It panics if n is negative.
func (s *Stream) Hex(n int) string { return s.text(hexAlphabet, n) }

func (s *Stream) text(alphabet string, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[int(float64(s.Fraction()*float64(len(alphabet))))]
	}
	return string(out)
}

// mash is Alea's string hash; n carries over from one text to the next.
type mash struct{ n float64 }

func (m *mash) feed(s string) float64 {
	for _, unit := range utf16.Encode([]rune(s)) {
		m.n += float64(unit)
		h := float64(0.02519603282416938 * m.n)
		m.n = uint32Of(h)
		h -= m.n
		h = float64(h * m.n)
		m.n = uint32Of(h)
		h -= m.n
		m.n += float64(h * 4294967296)
	}
	return float64(uint32Of(m.n) * 2.3283064365386963e-10)
}

// uint32Of is JavaScript's x >>> 0 for a number that is not negative.
func uint32Of(x float64) float64 { return float64(uint32(uint64(x))) }
