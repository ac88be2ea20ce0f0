package ddp

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ddpserver/internal/ejson"
)

// published is what subscriptions publish, as docs/wire/ddp.md A12 says it: for each
// document who holds it, and for each of its fields the values in the order in which
// they were published first.
type published map[string]*publishedDoc

type publishedDoc struct {
	holders []string
	fields  map[string][]publishedValue
}

type publishedValue struct {
	by    string
	value string
}

// add, change, clear and remove are what a subscription may do.
func (p published) add(sub, id string, fields map[string]string) {
	d := p[id]
	if d == nil {
		d = &publishedDoc{fields: map[string][]publishedValue{}}
		p[id] = d
	}
	if !slices.Contains(d.holders, sub) {
		d.holders = append(d.holders, sub)
	}
	for key, value := range fields {
		if !slices.ContainsFunc(d.fields[key], func(v publishedValue) bool { return v.by == sub }) {
			d.fields[key] = append(d.fields[key], publishedValue{sub, value})
		}
	}
}

func (p published) holds(sub, id string) bool {
	return p[id] != nil && slices.Contains(p[id].holders, sub)
}

func (p published) change(sub, id string, fields map[string]string, cleared []string) {
	for key, value := range fields {
		list := p[id].fields[key]
		if i := slices.IndexFunc(list, func(v publishedValue) bool { return v.by == sub }); i >= 0 {
			list[i].value = value
		} else {
			p[id].fields[key] = append(list, publishedValue{sub, value})
		}
	}
	for _, key := range cleared {
		p[id].clear(sub, key)
	}
}

func (d *publishedDoc) clear(sub, key string) {
	d.fields[key] = slices.DeleteFunc(d.fields[key], func(v publishedValue) bool { return v.by == sub })
	if len(d.fields[key]) == 0 {
		delete(d.fields, key)
	}
}

func (p published) remove(sub, id string) {
	d := p[id]
	for key := range maps.Clone(d.fields) {
		d.clear(sub, key)
	}
	if d.holders = slices.DeleteFunc(d.holders, func(h string) bool { return h == sub }); len(d.holders) == 0 {
		delete(p, id)
	}
}

// shown is what a client has to see: the first value of each field.
func (p published) shown() clientView {
	see := clientView{}
	for id, d := range p {
		see[id] = map[string]string{}
		for key, list := range d.fields {
			see[id][key] = list[0].value
		}
	}
	return see
}

// clientView is what a client makes of the frames that it gets.
type clientView map[string]map[string]string

// take applies a frame as a stock client does, which fails on an added document that
// is there and on a changed or removed one that is not; a frame that says nothing is
// a mistake too.
func (c clientView) take(frame string) error {
	var f struct {
		Msg, ID string
		Fields  map[string]json.RawMessage
		Cleared []string
	}
	if err := json.Unmarshal([]byte(frame), &f); err != nil {
		return err
	}
	doc := c[f.ID]
	switch {
	case f.Msg == "added" && doc != nil, f.Msg != "added" && doc == nil:
		return fmt.Errorf("%s of what is there or not: %s", f.Msg, frame)
	case f.Msg == "changed" && len(f.Fields)+len(f.Cleared) == 0:
		return fmt.Errorf("nothing is said: %s", frame)
	case f.Msg == "removed":
		delete(c, f.ID)
		return nil
	case f.Msg == "added":
		doc = map[string]string{}
		c[f.ID] = doc
	}
	for key, value := range f.Fields {
		if was, known := doc[key]; known && was == string(value) {
			return fmt.Errorf("%s is no other: %s", key, frame)
		}
		doc[key] = string(value)
	}
	for _, key := range f.Cleared {
		if _, known := doc[key]; !known {
			return fmt.Errorf("%s is not there: %s", key, frame)
		}
		delete(doc, key)
	}
	return nil
}

// drawFields draws some fields of few names and few values.
func drawFields(t *rapid.T, label string) map[string]string {
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b"}), rapid.SampledFrom([]string{"1", `"x"`, `{"k":[1]}`}), 0, 2).Draw(t, label)
}

func asDoc(fields map[string]string) (d ejson.Doc) {
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		d = append(d, ejson.Field{Key: key, Value: ejson.Raw(fields[key])})
	}
	return d
}

// Whatever three subscriptions publish, change, clear and take back of two documents,
// in whatever order, a client that applies the frames one by one sees the first value of
// each field, and every frame tells it something new (docs/wire/ddp.md A12).
func TestViewIsWhatSubscriptionsPublish(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, want, client := newBox(t), published{}, clientView{}
		var done []string
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			sub, id := rapid.SampledFrom([]string{"s1", "s2", "s3"}).Draw(rt, "sub"), rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "id")
			var frames []string
			switch act := rapid.IntRange(0, 9).Draw(rt, "act"); {
			case act == 0: // the subscription ends
				for id := range maps.Clone(want) {
					if want.holds(sub, id) {
						want.remove(sub, id)
					}
				}
				frames = b.stop(sub)
				done = append(done, "stop "+sub)
			case act < 5:
				fields := drawFields(rt, "fields")
				want.add(sub, id, fields)
				frames = b.add(sub, id, asDoc(fields))
				done = append(done, fmt.Sprint("add ", sub, id, fields))
			case !want.holds(sub, id):
				var f frameSink
				if b.view.changed(b.sub(sub), "c", id, nil, nil, f.open()) || b.view.removed(b.sub(sub), "c", id, f.open()) {
					rt.Fatalf("after %q %s changes or removes %s, which it does not hold", done, sub, id)
				}
				f.close()
			case act < 8:
				fields := drawFields(rt, "changed")
				cleared := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "_id"}), 0, 2, rapid.ID).Draw(rt, "cleared")
				cleared = slices.DeleteFunc(cleared, func(key string) bool { _, set := fields[key]; return set })
				want.change(sub, id, fields, cleared)
				frames = b.change(sub, id, asDoc(fields), cleared...)
				done = append(done, fmt.Sprint("change ", sub, id, fields, cleared))
			default:
				want.remove(sub, id)
				frames = b.remove(sub, id)
				done = append(done, "remove "+sub+id)
			}
			for _, frame := range frames {
				if err := client.take(frame); err != nil {
					rt.Fatalf("after %q: %v", done, err)
				}
			}
			if d := cmp.Diff(want.shown(), client); d != "" {
				rt.Fatalf("after %q the client sees (-want +got):\n%s\nframes: %s", done, d, strings.Join(frames, "\n"))
			}
		}
		for _, sub := range []string{"s1", "s2", "s3"} {
			for _, frame := range b.stop(sub) {
				if err := client.take(frame); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if len(client) > 0 || len(b.view.collections) > 0 {
			rt.Fatalf("after %q and the end of all: %v", done, client)
		}
	})
}

// frameSink takes the frames of operations that make none.
type frameSink struct{ all []*frames }

func (s *frameSink) open() *frames {
	f := &frames{buffer: getBuffer()}
	s.all = append(s.all, f)
	return f
}

func (s *frameSink) close() {
	for _, f := range s.all {
		putBuffer(f.buffer)
	}
}

// A change of user tells the difference between two views: a client that applies its
// frames to the old one sees the new one (docs/wire/ddp.md A15).
func TestDifferenceTurnsOneViewIntoTheOther(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		views := [2]*box{newBox(t), newBox(t)}
		models := [2]published{{}, {}}
		client := clientView{}
		for i, b := range views {
			for range rapid.IntRange(0, 8).Draw(rt, "documents") {
				sub, id := rapid.SampledFrom([]string{"s1", "s2"}).Draw(rt, "sub"), rapid.SampledFrom([]string{"w", "x", "y", "z"}).Draw(rt, "id")
				fields := drawFields(rt, "fields")
				models[i].add(sub, id, fields)
				for _, frame := range b.add(sub, id, asDoc(fields)) {
					if i > 0 {
						continue // nobody is told while the new view is made
					}
					if err := client.take(frame); err != nil {
						rt.Fatal(err)
					}
				}
			}
		}
		f := frames{buffer: getBuffer()}
		views[1].view.difference(&views[0].view, &f)
		told := views[1].sent(f)
		seenNew := false
		for _, frame := range told {
			if err := client.take(frame); err != nil {
				rt.Fatalf("%v in %q", err, told)
			}
			isNew := strings.HasPrefix(frame, `{"msg":"added"`)
			if seenNew && !isNew {
				rt.Fatalf("old documents come first: %q", told)
			}
			seenNew = isNew
		}
		if d := cmp.Diff(models[1].shown(), client); d != "" {
			rt.Fatalf("%q leads to (-want +got):\n%s", told, d)
		}
	})
}
