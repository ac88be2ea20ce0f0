// Command benchratio turns the output of Go benchmarks into ratios to the floors
// that ran beside them, so that figures of different machines, or of a busy
// hour, can be compared. It reads the output on standard input and writes lines
// of the same format with the unit "floors/op" for benchstat.
//
// A benchmark NAME/… is divided by NAME/floor where there is one (a bare
// gorilla echo over the same sockets), else by what encoding/json needs in the
// same run to decode one message (BenchmarkDecode/282B/json of package ddp).
//
// With -baseline it also compares medians with those of an earlier run, and ends
// with an error when one is more than -limit times what it was.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	unit      = "floors/op"
	reference = "ddp.BenchmarkDecode/282B/json"
)

func main() {
	baseline := flag.String("baseline", "", "file of an earlier run's ratios")
	limit := flag.Float64("limit", 2.5, "how many times the earlier ratio is too much")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, os.Stderr, *baseline, *limit); err != nil {
		fmt.Fprintln(os.Stderr, "benchratio:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out, report io.Writer, baseline string, limit float64) error {
	measured, err := read(in, "ns/op")
	if err != nil {
		return err
	}
	ratios := map[string][]float64{}
	for name, ns := range measured {
		floor := measured[floorOf(name, measured)]
		if len(floor) == 0 {
			return fmt.Errorf("%s has no floor: run %s, too", name, reference)
		}
		by := median(floor)
		for _, v := range ns {
			if v > 0 && !strings.HasSuffix(name, "/floor") && name != reference {
				ratios[name] = append(ratios[name], v/by)
			}
		}
	}
	names := slices.Sorted(maps.Keys(ratios))
	for _, name := range names {
		for _, v := range ratios[name] {
			fmt.Fprintf(out, "Benchmark%s 1 %.4f %s\n", strings.Replace(name, ".Benchmark", "/", 1), v, unit)
		}
	}
	if baseline == "" {
		return nil
	}
	return compare(report, ratios, names, baseline, limit)
}

// compare tells which medians have grown beyond the limit.
func compare(report io.Writer, ratios map[string][]float64, names []string, baseline string, limit float64) error {
	f, err := os.Open(baseline)
	if err != nil {
		return err
	}
	defer f.Close()
	before, err := read(f, unit)
	if err != nil {
		return err
	}
	var worse []string
	for _, name := range names {
		old := before[".Benchmark"+strings.Replace(name, ".Benchmark", "/", 1)]
		if len(old) == 0 {
			continue
		}
		was, is := median(old), median(ratios[name])
		if is > was*limit {
			worse = append(worse, name)
			fmt.Fprintf(report, "%s: %.3f floors, was %.3f\n", name, is, was)
		}
	}
	if len(worse) > 0 {
		return fmt.Errorf("%d of %d benchmarks need more than %.1f times what they did: %s", len(worse), len(names), limit, strings.Join(worse, " "))
	}
	return nil
}

// floorOf is the benchmark that a name is divided by.
func floorOf(name string, measured map[string][]float64) string {
	for at := strings.LastIndexByte(name, '/'); at > 0; at = strings.LastIndexByte(name[:at], '/') {
		if own := name[:at] + "/floor"; len(measured[own]) > 0 {
			return own
		}
	}
	return reference
}

var processors = regexp.MustCompile(`-\d+$`)

// read collects the values of a unit by "package.Benchmark…".
func read(in io.Reader, unit string) (map[string][]float64, error) {
	values := map[string][]float64{}
	pkg := ""
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if path, ok := strings.CutPrefix(lines.Text(), "pkg: "); ok {
			pkg = path[strings.LastIndexByte(path, '/')+1:]
			continue
		}
		f := strings.Fields(lines.Text())
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		for i := 3; i < len(f); i += 2 {
			if f[i] == unit {
				v, err := strconv.ParseFloat(f[i-1], 64)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", f[0], err)
				}
				name := pkg + "." + processors.ReplaceAllString(f[0], "")
				values[name] = append(values[name], v)
			}
		}
	}
	return values, lines.Err()
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
