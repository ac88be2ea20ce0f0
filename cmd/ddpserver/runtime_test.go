package main

import "testing"

// TestTending: a busy server gets room for garbage, a quiet one gives it back
// once, and keeps what the configuration says.
func TestTending(t *testing.T) {
	const mib = 1 << 20
	tt := tending{percent: 75, set: 75}
	for i, look := range []struct {
		allocated, live uint64
		percent         int
		giveBack        bool
	}{
		{6 * mib, headroom / 8, 800, false},        // busy with a small heap
		{60 * mib, headroom / 8, 800, false},       // still
		{140 * mib, headroom * 9 / 64, 800, false}, // 711 is not worth a change
		{200 * mib, headroom / 2, 200, false},      // the heap has grown
		{300 * mib, 100 * mib, 75, false},          // a big heap has room anyway
		{300 * mib, 100 * mib, 75, true},           // quiet: give back
		{300*mib + 1, 100 * mib, 75, false},        // once
		{309 * mib, headroom / 4, 400, false},
		{309*mib + 9, headroom / 4, 75, true},
		{310*mib + 9, headroom / 4, 400, false}, // busy for a moment
		{310*mib + 9, headroom / 4, 75, false},  // too little to give back
		{400 * mib, 0, 75, false},               // nothing was collected yet
		{500 * mib, 1, 1000, false},
	} {
		percent, giveBack := tt.decide(look.allocated, look.live)
		if percent != look.percent || giveBack != look.giveBack {
			t.Errorf("look %d: %d %v, want %d %v", i, percent, giveBack, look.percent, look.giveBack)
		}
	}
}
