package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const output = `pkg: example/internal/ddp
BenchmarkEcho/floor-2        100  10000 ns/op
BenchmarkEcho/engine-2       100  15000 ns/op  128 B/op
BenchmarkEcho/engine-2       100  13000 ns/op
BenchmarkEcho/engine-2       100  99000 ns/op
BenchmarkDecode/282B-2       100  500 ns/op  564.00 MB/s
BenchmarkDecode/282B/json-2  100  5000 ns/op
BenchmarkIdle/engine-2       1    0 ns/op  7000 B/conn
pkg: example/internal/ejson
BenchmarkDecode-8            100  2500 ns/op
`

func ratios(t *testing.T, in, baseline string) (string, string, error) {
	t.Helper()
	var out, report strings.Builder
	err := run(strings.NewReader(in), &out, &report, baseline, 1.6)
	return out.String(), report.String(), err
}

func TestRatios(t *testing.T) {
	out, _, err := ratios(t, output, "")
	if err != nil {
		t.Fatal(err)
	}
	want := "Benchmarkddp/Decode/282B 1 0.1000 floors/op\nBenchmarkddp/Echo/engine 1 1.5000 floors/op\nBenchmarkddp/Echo/engine 1 1.3000 floors/op\n" +
		"Benchmarkddp/Echo/engine 1 9.9000 floors/op\nBenchmarkejson/Decode 1 0.5000 floors/op\n"
	if out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	baseline := filepath.Join(t.TempDir(), "base.txt")
	if err := os.WriteFile(baseline, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	// Everything twice as slow is the same; one thing alone is not.
	doubled := strings.NewReplacer(" 10000 ns", " 20000 ns", " 15000 ns", " 30000 ns", " 13000 ns", " 26000 ns", " 5000 ns", " 10000 ns", " 500 ns", " 1000 ns",
		" 2500 ns", " 5000 ns").Replace(output)
	if _, report, err := ratios(t, doubled, baseline); err != nil || report != "" {
		t.Errorf("a slow machine is a regression: %q, %v", report, err)
	}
	worse := strings.Replace(output, " 500 ns", " 900 ns", 1)
	if _, report, err := ratios(t, worse, baseline); err == nil || !strings.Contains(report, "ddp.BenchmarkDecode/282B: 0.180 floors, was 0.100") {
		t.Errorf("a regression passed: %q, %v", report, err)
	}
	if _, _, err := ratios(t, "pkg: x\nBenchmarkA 1 5 ns/op\n", ""); err == nil {
		t.Error("ratios without a floor")
	}
}
