package ddp

import (
	"bytes"
	"cmp"
	"slices"

	"ddpserver/internal/ejson"
)

// view is the merge box (docs/wire/ddp.md A12): what the client sees of every
// document is the union of what its subscriptions publish, field by field, and
// for a field that several publish, the value of the one that came first.
//
// Values are kept encoded: that is the deep copy the protocol asks for, and
// what is sent needs no second encoding. It is guarded by the session's lock.
type view struct {
	collections []*collection
	seq         int
}

type collection struct {
	name string
	docs map[string]*document
}

type document struct {
	in     *collection
	id     string          // as on the wire
	seq    int             // age, for an order that does not depend on the map
	holder *Subscription   // one of those that publish it
	others []*Subscription // the rest
	fields []field
}

// field is one top-level field with its precedence list, of which the head,
// what the client sees, is kept apart.
type field struct {
	key   string
	value []byte
	by    *Subscription
	rest  []claim
}

type claim struct {
	value []byte
	by    *Subscription
}

func (v *view) find(name string) *collection {
	for _, c := range v.collections {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (v *view) document(collection, id string) *document {
	if c := v.find(collection); c != nil {
		return c.docs[id]
	}
	return nil
}

func (d *document) heldBy(p *Subscription) bool { return d.holder == p || slices.Contains(d.others, p) }

// letGo takes p off the holders.
func (d *document) letGo(p *Subscription) {
	if d.holder != p {
		d.others = slices.DeleteFunc(d.others, func(h *Subscription) bool { return h == p })
		return
	}
	d.holder = nil
	if n := len(d.others); n > 0 {
		d.holder, d.others = d.others[n-1], d.others[:n-1]
	}
}

func (d *document) field(key string) int {
	for i := range d.fields {
		if d.fields[i].key == key {
			return i
		}
	}
	return -1
}

// same is EJSON equality of two encoded values.
func same(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, err := ejson.Decode(a)
	if err != nil {
		return false
	}
	y, err := ejson.Decode(b)
	return err == nil && ejson.Equal(x, y)
}

// added lets p publish a document; fields are p's already. The frame to send,
// if any, is appended to out.
func (v *view) added(p *Subscription, collectionName, id string, fields []field, out *frames) {
	c := v.find(collectionName)
	if c == nil {
		c = &collection{name: collectionName, docs: make(map[string]*document, 1)}
		v.collections = append(v.collections, c)
	}
	d := c.docs[id]
	if d == nil {
		v.seq++
		d = &document{in: c, id: id, seq: v.seq, holder: p, fields: fields}
		c.docs[id] = d
		p.hold(d)
		out.added(d)
		return
	}
	if !d.heldBy(p) {
		d.others = append(d.others, p)
		p.hold(d)
	}
	out.beginChange(d)
	for _, f := range fields {
		i := d.field(f.key)
		if i < 0 {
			d.fields = append(d.fields, f)
			out.field(f.key, f.value)
			continue
		}
		d.fields[i].claim(p, f.value, false)
	}
	out.endChange()
}

// changed lets p change fields and clear others; false when p does not hold the
// document.
func (v *view) changed(p *Subscription, collectionName, id string, fields []field, cleared []string, out *frames) bool {
	d := v.document(collectionName, id)
	if d == nil || !d.heldBy(p) {
		return false
	}
	out.beginChange(d)
	for _, f := range fields {
		i := d.field(f.key)
		switch {
		case i < 0:
			d.fields = append(d.fields, f)
			out.field(f.key, f.value)
		case d.fields[i].claim(p, f.value, true):
			out.field(f.key, f.value)
		}
	}
	for _, key := range cleared {
		d.clear(p, key, out)
	}
	out.endChange()
	return true
}

// claim records p's value of a field that exists. It tells whether the client
// sees another value now. update says that p's earlier value is replaced;
// without it the earlier one stays.
func (f *field) claim(p *Subscription, value []byte, update bool) bool {
	if f.by == p {
		if !update || same(f.value, value) {
			return false
		}
		f.value = value
		return true
	}
	for i := range f.rest {
		if f.rest[i].by == p {
			if update {
				f.rest[i].value = value
			}
			return false
		}
	}
	f.rest = append(f.rest, claim{value, p})
	return false
}

// clear drops p's value of a field.
func (d *document) clear(p *Subscription, key string, out *frames) {
	i := d.field(key)
	if i < 0 || key == "_id" {
		return
	}
	f := &d.fields[i]
	if f.by != p {
		f.rest = slices.DeleteFunc(f.rest, func(c claim) bool { return c.by == p })
		return
	}
	if len(f.rest) == 0 {
		d.fields = slices.Delete(d.fields, i, i+1)
		out.clear(key)
		return
	}
	old := f.value
	f.value, f.by = f.rest[0].value, f.rest[0].by
	f.rest = slices.Delete(f.rest, 0, 1)
	if !same(old, f.value) {
		out.field(key, f.value)
	}
}

// removed lets p take a document back; false when p does not hold it.
func (v *view) removed(p *Subscription, collectionName, id string, out *frames) bool {
	d := v.document(collectionName, id)
	if d == nil || !d.heldBy(p) {
		return false
	}
	v.drop(p, d, out)
	h := p.held
	h.stale++
	if h.stale > 16 && h.stale > len(h.docs)/2 {
		seen := make(map[*document]struct{}, len(h.docs)) // one may have come back
		h.docs = slices.DeleteFunc(h.docs, func(d *document) bool {
			_, twice := seen[d]
			seen[d] = struct{}{}
			return twice || !d.heldBy(p)
		})
		h.stale = 0
	}
	return true
}

// hold notes that p publishes d.
func (p *Subscription) hold(d *document) {
	if p.held == nil {
		p.held = new(holding)
	}
	p.held.docs = append(p.held.docs, d)
}

// dropAll takes everything back that p publishes.
func (v *view) dropAll(p *Subscription, out *frames) {
	if p.held == nil {
		return
	}
	for _, d := range p.held.docs {
		if d.heldBy(p) {
			v.drop(p, d, out)
		}
	}
	p.held = nil
}

func (v *view) drop(p *Subscription, d *document, out *frames) {
	d.letGo(p)
	if d.holder == nil {
		delete(d.in.docs, d.id)
		if len(d.in.docs) == 0 {
			v.collections = slices.DeleteFunc(v.collections, func(c *collection) bool { return c == d.in })
		}
		out.removed(d)
		return
	}
	out.beginChange(d)
	for i := len(d.fields) - 1; i >= 0; i-- {
		d.clear(p, d.fields[i].key, out)
	}
	out.endChange()
}

// difference appends the frames that turn the client's view old into v: for each
// collection, the old ones first, what changed or went, then what is new
// (docs/wire/ddp.md A15).
func (v *view) difference(old *view, out *frames) {
	for _, c := range old.collections {
		now := v.find(c.name)
		for _, d := range c.byAge() {
			if now == nil || now.docs[d.id] == nil {
				out.removed(d)
				continue
			}
			now.docs[d.id].difference(d, out)
		}
		if now != nil {
			out.addedSince(now, c)
		}
	}
	for _, c := range v.collections {
		if old.find(c.name) == nil {
			out.addedSince(c, nil)
		}
	}
}

func (d *document) difference(old *document, out *frames) {
	out.beginChange(d)
	for _, f := range d.fields {
		if i := old.field(f.key); i < 0 || !same(old.fields[i].value, f.value) {
			out.field(f.key, f.value)
		}
	}
	for _, f := range old.fields {
		if d.field(f.key) < 0 {
			out.clear(f.key)
		}
	}
	out.endChange()
}

func (c *collection) byAge() []*document {
	all := make([]*document, 0, len(c.docs))
	for _, d := range c.docs {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *document) int { return cmp.Compare(a.seq, b.seq) })
	return all
}

func (out *frames) addedSince(now, before *collection) {
	for _, d := range now.byAge() {
		if before == nil || before.docs[d.id] == nil {
			out.added(d)
		}
	}
}
