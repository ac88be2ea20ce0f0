package ddp

import (
	"slices"
	"testing"

	"ddpserver/internal/ddp/wire"
	"ddpserver/internal/ejson"
)

// box drives a view as publications do and collects what the client would get.
type box struct {
	t    *testing.T
	view view
	subs map[string]*Subscription
}

func newBox(t *testing.T) *box { return &box{t: t, subs: make(map[string]*Subscription)} }

func (b *box) sub(name string) *Subscription {
	if b.subs[name] == nil {
		b.subs[name] = &Subscription{id: name}
	}
	return b.subs[name]
}

func (b *box) sent(f frames) []string {
	var all []string
	for rest := f.b; len(rest) > 0; {
		var payload []byte
		_, payload, rest = wire.Next(rest)
		all = append(all, string(payload))
	}
	putBuffer(f.buffer)
	return all
}

func (b *box) add(sub, id string, doc ejson.Doc) []string {
	f := frames{buffer: getBuffer()}
	fields, _, err := encodeFields(b.sub(sub), doc)
	if err != nil {
		b.t.Fatal(err)
	}
	b.view.added(b.sub(sub), "c", id, fields, &f)
	return b.sent(f)
}

func (b *box) change(sub, id string, doc ejson.Doc, cleared ...string) []string {
	f := frames{buffer: getBuffer()}
	fields, _, err := encodeFields(b.sub(sub), doc)
	if err != nil {
		b.t.Fatal(err)
	}
	if !b.view.changed(b.sub(sub), "c", id, fields, cleared, &f) {
		b.t.Fatalf("%s does not hold %s", sub, id)
	}
	return b.sent(f)
}

func (b *box) remove(sub, id string) []string {
	f := frames{buffer: getBuffer()}
	if !b.view.removed(b.sub(sub), "c", id, &f) {
		b.t.Fatalf("%s does not hold %s", sub, id)
	}
	return b.sent(f)
}

func (b *box) stop(sub string) []string {
	f := frames{buffer: getBuffer()}
	b.view.dropAll(b.sub(sub), &f)
	return b.sent(f)
}

func (b *box) want(got []string, want ...string) {
	b.t.Helper()
	if !slices.Equal(got, want) {
		b.t.Fatalf("got  %q\nwant %q", got, want)
	}
}

func doc(pairs ...any) (d ejson.Doc) {
	for i := 0; i < len(pairs); i += 2 {
		d = append(d, ejson.Field{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	return d
}

// The cases of Meteor's session view tests (docs/wire/ddp.md F1).
func TestViewExistsAndReveals(t *testing.T) {
	b := newBox(t)
	b.want(b.add("A", "1", doc()), `{"msg":"added","collection":"c","id":"1"}`)
	b.want(b.add("B", "1", doc()))
	b.want(b.remove("A", "1"))
	b.want(b.remove("B", "1"), `{"msg":"removed","collection":"c","id":"1"}`)
	if len(b.view.collections) != 0 {
		t.Error("the collection is still there")
	}
}

func TestViewFieldRevealedByAdd(t *testing.T) {
	b := newBox(t)
	b.want(b.add("A", "1", doc("foo", "bar")), `{"msg":"added","collection":"c","id":"1","fields":{"foo":"bar"}}`)
	b.want(b.add("B", "1", doc("foo", "other", "baz", "quux")), `{"msg":"changed","collection":"c","id":"1","fields":{"baz":"quux"}}`)
	b.want(b.remove("A", "1"), `{"msg":"changed","collection":"c","id":"1","fields":{"foo":"other"}}`)
	b.want(b.change("B", "1", doc("foo", "last")), `{"msg":"changed","collection":"c","id":"1","fields":{"foo":"last"}}`)
}

func TestViewFieldRevealedByRemovalOnce(t *testing.T) {
	b := newBox(t)
	b.add("A", "1", doc("foo", "bar"))
	b.want(b.add("B", "1", doc("foo", "bar")))
	b.want(b.remove("A", "1")) // the same value: nothing to see
	b.want(b.remove("B", "1"), `{"msg":"removed","collection":"c","id":"1"}`)
}

func TestViewFieldOfOneIsClearedWithIt(t *testing.T) {
	b := newBox(t)
	b.add("A", "1", doc("foo", "bar", "baz", 1))
	b.want(b.add("B", "1", doc("foo", "bar")))
	b.want(b.remove("A", "1"), `{"msg":"changed","collection":"c","id":"1","cleared":["baz"]}`)
}

func TestViewClear(t *testing.T) {
	b := newBox(t)
	b.add("A", "1", doc("foo", "bar"))
	b.want(b.change("A", "1", nil, "foo"), `{"msg":"changed","collection":"c","id":"1","cleared":["foo"]}`)
	b.want(b.change("A", "1", nil, "foo")) // twice: silent
	b.want(b.change("A", "1", nil, "never"))
}

func TestViewClearReveals(t *testing.T) {
	b := newBox(t)
	b.add("A", "1", doc("foo", "bar"))
	b.want(b.add("B", "1", doc("foo", "baz")))
	b.want(b.change("A", "1", nil, "foo"), `{"msg":"changed","collection":"c","id":"1","fields":{"foo":"baz"}}`)
	b.want(b.change("B", "1", nil, "foo"), `{"msg":"changed","collection":"c","id":"1","cleared":["foo"]}`)
}

func TestViewClearByOtherIsSilent(t *testing.T) {
	b := newBox(t)
	b.add("A", "1", doc("foo", "bar"))
	b.add("B", "1", doc("foo", "baz"))
	b.want(b.change("B", "1", nil, "foo"))
	b.want(b.change("A", "1", nil, "foo"), `{"msg":"changed","collection":"c","id":"1","cleared":["foo"]}`)
}

func TestViewChangeToCanonicalIsSilent(t *testing.T) {
	b := newBox(t)
	b.add("A", "1", doc("foo", "bar"))
	b.want(b.add("B", "1", doc("foo", "baz")))
	b.want(b.change("B", "1", doc("foo", "bar")))
	b.want(b.remove("A", "1"))
	b.want(b.change("B", "1", doc("foo", "baz")), `{"msg":"changed","collection":"c","id":"1","fields":{"foo":"baz"}}`)
}

func TestViewChangeByHeadOnly(t *testing.T) {
	b := newBox(t)
	b.add("A", "1", doc("foo", "bar"))
	b.add("B", "1", doc("foo", "bar"))
	b.want(b.change("B", "1", doc("foo", "x")))
	b.want(b.change("A", "1", doc("foo", "x")), `{"msg":"changed","collection":"c","id":"1","fields":{"foo":"x"}}`)
	b.want(b.change("A", "1", doc("foo", "x")))
}

func TestViewChangeAllAndClearAllOnce(t *testing.T) {
	b := newBox(t)
	b.add("A", "1", doc("foo", "bar"))
	b.add("B", "1", doc("foo", "bar"))
	b.add("C", "1", doc("foo", "bar"))
	b.want(b.change("A", "1", doc("foo", "quux")), `{"msg":"changed","collection":"c","id":"1","fields":{"foo":"quux"}}`)
	b.want(b.change("B", "1", doc("foo", "quux")))
	b.want(b.change("C", "1", doc("foo", "quux")))
	b.want(b.change("A", "1", nil, "foo"))
	b.want(b.change("B", "1", nil, "foo"))
	b.want(b.change("C", "1", nil, "foo"), `{"msg":"changed","collection":"c","id":"1","cleared":["foo"]}`)
}

func TestViewManyOperationsInOneChange(t *testing.T) {
	b := newBox(t)
	b.add("A", "1", doc("foo", "bar", "baz", "quux"))
	b.want(b.add("B", "1", doc("foo", "baz")))
	b.want(b.change("A", "1", doc("thing", "stuff"), "foo", "baz"),
		`{"msg":"changed","collection":"c","id":"1","fields":{"thing":"stuff","foo":"baz"},"cleared":["baz"]}`)
}

func TestViewDocumentsAreApart(t *testing.T) {
	b := newBox(t)
	b.want(b.add("A", "1", doc("foo", 1)), `{"msg":"added","collection":"c","id":"1","fields":{"foo":1}}`)
	b.want(b.add("A", "2", doc("foo", 2)), `{"msg":"added","collection":"c","id":"2","fields":{"foo":2}}`)
	b.want(b.change("A", "2", doc("foo", 3)), `{"msg":"changed","collection":"c","id":"2","fields":{"foo":3}}`)
	b.want(b.stop("A"), `{"msg":"removed","collection":"c","id":"1"}`, `{"msg":"removed","collection":"c","id":"2"}`)
}

func TestViewKeyNamedConstructor(t *testing.T) {
	b := newBox(t)
	b.want(b.add("A", "1", doc("constructor", "bla")), `{"msg":"added","collection":"c","id":"1","fields":{"constructor":"bla"}}`)
	b.want(b.change("A", "1", nil, "constructor"), `{"msg":"changed","collection":"c","id":"1","cleared":["constructor"]}`)
}

func TestViewIgnoresUnderscoreID(t *testing.T) {
	b := newBox(t)
	b.want(b.add("A", "1", doc("_id", "1", "a", 1)), `{"msg":"added","collection":"c","id":"1","fields":{"a":1}}`)
	b.want(b.change("A", "1", doc("_id", "2"), "_id"))
}

func TestViewAddedTwiceByOne(t *testing.T) {
	b := newBox(t)
	b.add("A", "1", doc("a", 1))
	b.want(b.add("A", "1", doc("a", 2, "b", 3)), `{"msg":"changed","collection":"c","id":"1","fields":{"b":3}}`)
	b.want(b.remove("A", "1"), `{"msg":"removed","collection":"c","id":"1"}`)
}

func TestViewKeyOrderIsNoChange(t *testing.T) {
	b := newBox(t)
	b.add("A", "1", doc("o", doc("x", 1, "y", 2)))
	b.want(b.change("A", "1", doc("o", doc("y", 2, "x", 1))))
	b.want(b.change("A", "1", doc("o", doc("y", 2, "x", 3))), `{"msg":"changed","collection":"c","id":"1","fields":{"o":{"y":2,"x":3}}}`)
}

func TestViewValuesAreCopies(t *testing.T) {
	b := newBox(t)
	list := []any{"a"}
	b.add("A", "1", doc("l", list))
	list[0] = "b"
	b.want(b.change("A", "1", doc("l", list)), `{"msg":"changed","collection":"c","id":"1","fields":{"l":["b"]}}`)
}

func TestViewForgetsLetGoDocuments(t *testing.T) {
	b := newBox(t)
	for i := range 1000 {
		id := string(rune('a' + i%26))
		b.add("A", id, doc("n", i))
		b.remove("A", id)
	}
	b.add("B", "shared", doc("n", 1))
	for range 1000 {
		b.add("A", "shared", doc("n", 1))
		b.remove("A", "shared")
	}
	if n := len(b.sub("A").held.docs); n > 64 {
		t.Errorf("remembers %d documents it does not hold", n)
	}
}

func TestViewDifference(t *testing.T) {
	old, now := newBox(t), newBox(t)
	old.add("A", "same", doc("a", 1))
	old.add("A", "gone", doc("a", 1))
	old.add("A", "other", doc("a", 1, "b", 2, "c", doc("x", 1, "y", 2)))
	now.add("A", "new2", nil)
	now.add("A", "same", doc("a", 1))
	now.add("A", "new1", nil)
	now.add("A", "other", doc("a", 2, "c", doc("y", 2, "x", 1), "d", 4))
	f := frames{buffer: getBuffer()}
	now.view.difference(&old.view, &f)
	now.want(now.sent(f),
		`{"msg":"removed","collection":"c","id":"gone"}`,
		`{"msg":"changed","collection":"c","id":"other","fields":{"a":2,"d":4},"cleared":["b"]}`,
		`{"msg":"added","collection":"c","id":"new2"}`,
		`{"msg":"added","collection":"c","id":"new1"}`)
}
