package growthtest

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// Decoder is something that reads texts of strangers.
type Decoder struct {
	Name string
	// Do reads one text. Its outcome does not matter.
	Do func(text string)
	// In puts a generated text where strangers put theirs, inside what surrounds
	// it, such as a member of an object; nil leaves it alone.
	In func(text string) string
	// Allocated is how many bytes may be allocated for each byte of a long text;
	// 0 means 128. Under the race detector it may be twice as many.
	Allocated int
}

// The two lengths that are compared, in bytes, and what may come out.
const (
	short = 2 << 10
	long  = 16 * short
	// tolerated is how many times more than in proportion a long text may cost:
	// caches and the collector make 2 of it, a square makes 16.
	tolerated = 4
	// cheap is what a byte of a long text may cost whatever a short one does: too
	// little to be work that grows, at that length. Under the race detector, whose own
	// memory is several times that of the text, it may be four times as much.
	cheap = 30 * time.Nanosecond
	// patience is the processor time of looks before a reader is accused.
	patience = 2 * time.Second
	// seed and mixtures choose the mixed families.
	seed     = 20261128
	mixtures = 40
)

// Test reads the generated families of texts with every decoder and fails where
// the work is more than in proportion to the length.
func Test(t *testing.T, decoders ...Decoder) {
	for _, d := range decoders {
		t.Run(d.Name, func(t *testing.T) {
			for i, f := range families(seed, mixtures) {
				if i%every != 0 {
					continue
				}
				if fault := d.compare(f); fault != "" {
					t.Errorf("%s: %s", f.name, fault)
				}
			}
		})
	}
}

// Fuzz does the same with families that the fuzzer makes: a unit that is
// repeated, between a beginning and an end.
func Fuzz(f *testing.F, decoders ...Decoder) {
	for _, token := range tokens {
		f.Add("", token, "")
		f.Add("word ", token, "end")
	}
	f.Add(`{"a":"`, "[a](", `"}`)
	f.Add(`["`, `","`, `"]`)
	f.Add(`[`, `{"$date":"2020"},`, `0]`)
	f.Fuzz(func(t *testing.T, head, unit, tail string) {
		if unit == "" || len(head)+len(unit)+len(tail) > short {
			t.Skip()
		}
		f := family{"fuzzed", func(n int) string { return head + repeated(unit, n) + tail }}
		for _, d := range decoders {
			if fault := d.compare(f); fault != "" {
				t.Errorf("%s, %q %q… %q: %s", d.Name, head, unit, tail, fault)
			}
		}
	})
}

// Work is the processor time that do takes in its own goroutine, whatever other
// processes take meanwhile.
func Work(do func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := threadTime()
	do()
	return threadTime() - begin
}

// compare says what is wrong with the growth of a family, or "".
func (d *Decoder) compare(f family) string {
	small, big := f.text(short), f.text(long)
	if d.In != nil {
		small, big = d.In(small), d.In(big)
	}
	limit := d.Allocated
	if limit == 0 {
		limit = 128
	}
	took, allocated := d.measure(big)
	if per := allocated / uint64(len(big)); per > uint64(limit*slack) {
		return fmt.Sprintf("%d bytes allocated for each of %d", per, len(big))
	}
	enough := cheap * slack * slack * time.Duration(len(big))
	if took <= enough || !timed {
		return ""
	}
	// Many looks, in turn, before anybody is accused. A machine whose processors others
	// take away is slow for longer than twelve short looks.
	ratio := float64(len(big)) / float64(len(small))
	var least, looked time.Duration
	for look := 0; look < 12 || looked < patience; look++ {
		again, _ := d.measure(small)
		looked += again
		if least == 0 || again < least {
			least = again
		}
		if float64(took) <= tolerated*ratio*float64(least) {
			return ""
		}
		// A long text must find memory that was used before, as a short one does: what is
		// asked of the kernel anew is slow in virtual machines, and no work of the reader.
		runtime.GC()
		again, _ = d.measure(big)
		looked += again
		if took = min(took, again); took <= enough {
			return ""
		}
	}
	return fmt.Sprintf("%v for %d bytes, %v for %d", took, len(big), least, len(small))
}

// measure reads a text once and gives the processor time of the thread and the
// bytes that were allocated meanwhile by everybody.
func (d *Decoder) measure(text string) (time.Duration, uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	took := Work(func() { d.Do(text) })
	runtime.ReadMemStats(&after)
	return took, after.TotalAlloc - before.TotalAlloc
}
