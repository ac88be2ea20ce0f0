package rooms

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whoever walks from cursor to cursor, in either direction, sees everything once and in
// order, however many changes share a moment and however short the pages are.
func TestSpansAreWalkedWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(1, 12), 0, 40).Draw(t, "moments")
		slices.Sort(all)
		most := rapid.IntRange(1, 50).Draw(t, "what a page holds in bytes")
		limit := rapid.IntRange(1, 9).Draw(t, "limit")
		read := func(in Span) ([]int64, error) {
			var list []int64
			for _, ms := range all {
				if in.Before.IsZero() && ms > in.After.UnixMilli() || !in.Before.IsZero() && ms < in.Before.UnixMilli() {
					list = append(list, ms)
				}
			}
			if !in.Before.IsZero() {
				slices.Reverse(list)
			}
			return list[:min(len(list), in.Limit)], nil
		}
		short := func(list []int64) ([]int64, error) { // as fit does
			end := min(len(list), most)
			for end > 0 && end < len(list) && list[end-1] == list[end] {
				end--
			}
			if end == 0 {
				for end < len(list) && list[end] == list[0] {
					end++
				}
			}
			return list[:end], nil
		}
		at := func(ms int64) time.Time { return time.UnixMilli(ms) }
		walk := func(in Span, on func(*Span, Cursor) bool) (seen []int64) {
			in.Limit = limit
			for range len(all) + 2 {
				page, c, err := spanned(in, read, short, at)
				if err != nil {
					t.Fatal(err)
				}
				seen = append(seen, page...)
				if !on(&in, c) {
					return seen
				}
			}
			t.Fatal("it has no end")
			return nil
		}
		forward := walk(Span{}, func(in *Span, c Cursor) bool { in.After = c.Next; return !c.Next.IsZero() })
		if !slices.Equal(forward, all) {
			t.Fatalf("forward %v, want %v", forward, all)
		}
		back := walk(Span{Before: at(100)}, func(in *Span, c Cursor) bool { in.Before = c.Previous; return !c.Previous.IsZero() })
		slices.Reverse(back)
		if !slices.Equal(back, all) {
			t.Fatalf("back %v, want %v", back, all)
		}
		// The other cursor of a page leads back to what lies before it.
		in := Span{After: at(rapid.Int64Range(0, 12).Draw(t, "after")), Limit: limit}
		page, c, err := spanned(in, read, short, at)
		if err != nil || len(page) == 0 {
			return
		}
		older, _, err := spanned(Span{Before: c.Previous, Limit: limit}, read, short, at)
		if err != nil || slices.ContainsFunc(older, func(ms int64) bool { return ms >= page[0] }) {
			t.Fatalf("before %v: %v, %v", page, older, err)
		}
	})
}
