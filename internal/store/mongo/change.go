package mongo

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// plan is one update command on one user document.
type plan struct {
	// when are the conditions, every one of which must hold.
	when bson.A
	set, unset, push,
	pull, inc bson.D
	arrayFilters []any
	// rewrite lists arrays whose change does not fit in operators (a removal
	// and an insertion at once, a change of every element): they are replaced
	// whole, on condition that they are still what was read.
	rewrite []string
	// pin lists fields that decide and stay: the plan is carried out on condition
	// that they are still what was read.
	pin []string
}

func (p *plan) cond(path string, v any) {
	p.when = append(p.when, bson.D{{Key: path, Value: v}})
}

// put sets a field, or removes it when its zero value is not stored.
func (p *plan) put(path string, v any, empty bool) {
	if empty {
		p.unset = append(p.unset, bson.E{Key: path, Value: 1})
	} else {
		p.set = append(p.set, bson.E{Key: path, Value: v})
	}
}

// command makes the filter and the update.
func (p *plan) command(id string) (filter, update bson.D) {
	filter = bson.D{{Key: "_id", Value: id}}
	if len(p.when) > 0 {
		filter = append(filter, bson.E{Key: "$and", Value: p.when})
	}
	for _, o := range []struct {
		name string
		doc  bson.D
	}{{"$set", p.set}, {"$unset", p.unset}, {"$push", p.push}, {"$pull", p.pull}, {"$inc", p.inc}} {
		if len(o.doc) > 0 {
			update = append(update, bson.E{Key: o.name, Value: o.doc})
		}
	}
	return filter, update
}

// lostRaces bounds how often a plan is tried again because the document was
// changed between a look and a write; the operation's deadline bounds it too.
const lostRaces = 1000

// run applies a plan. try is its meaning on a value (package rule, user.Change):
// it decides between a condition that does not hold and a lost race.
func (s *Store) run(ctx context.Context, id string, p plan, try func(*user.User) error) (*user.User, error) {
	looks := len(p.rewrite)+len(p.pin) > 0
	if looks {
		unlock, err := s.locks.lock(ctx, id)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	for range lostRaces {
		step := p
		if looks {
			raw, err := findRaw(ctx, newest(s.users), bson.D{{Key: "_id", Value: id}})
			if err != nil {
				return nil, err
			}
			if step, err = p.rewritten(raw, try); err != nil {
				return nil, err
			}
		}
		filter, update := step.command(id)
		if len(update) == 0 { // nothing to clear
			return s.user(ctx, bson.D{{Key: "_id", Value: id}})
		}
		opts := options.FindOneAndUpdate().SetReturnDocument(options.After)
		if step.arrayFilters != nil {
			opts.SetArrayFilters(step.arrayFilters)
		}
		raw, err := s.users.FindOneAndUpdate(ctx, filter, update, opts).Raw()
		if err = failure(err); err == nil {
			return document.DecodeUser(raw)
		} else if !errors.Is(err, dberr.NotFound) {
			return nil, err
		}
		if looks {
			continue // the next look decides
		}
		raw, err = findRaw(ctx, newest(s.users), bson.D{{Key: "_id", Value: id}})
		if err != nil {
			return nil, err
		}
		u, err := document.DecodeUser(raw)
		if err != nil {
			return nil, err
		}
		if err := try(u); err != nil {
			return nil, err
		}
	}
	return nil, dberr.Conflict
}

// rewritten completes a plan that replaces whole arrays or pins fields.
func (p *plan) rewritten(raw bson.Raw, try func(*user.User) error) (plan, error) {
	before, err := document.DecodeUser(raw)
	if err != nil {
		return plan{}, err
	}
	after, err := document.DecodeUser(raw)
	if err != nil {
		return plan{}, err
	}
	if err := try(after); err != nil {
		return plan{}, err
	}
	next, err := document.Merge(raw, before, after)
	if err != nil {
		return plan{}, err
	}
	step := *p
	step.when = append(bson.A{}, p.when...)
	step.set = append(bson.D{}, p.set...)
	step.unset = append(bson.D{}, p.unset...)
	still := func(path string, old bson.RawValue) {
		if old.IsZero() {
			step.cond(path, bson.D{{Key: "$exists", Value: false}})
		} else {
			step.cond(path, old)
		}
	}
	for _, path := range p.pin {
		still(path, lookup(raw, path))
	}
	for _, path := range p.rewrite {
		old, new := lookup(raw, path), lookup(next, path)
		still(path, old)
		switch {
		case !new.IsZero():
			step.put(path, new, false)
		case !old.IsZero():
			step.put(path, nil, true)
		}
	}
	return step, nil
}

// lookup finds a dotted path; the zero value when there is nothing.
func lookup(raw bson.Raw, path string) bson.RawValue {
	v, err := raw.LookupErr(strings.Split(path, ".")...)
	if err != nil {
		return bson.RawValue{}
	}
	return v
}

// planChange translates a Change. What Apply means in Go this means in MongoDB;
// the conformance suite compares them.
func planChange(c *user.Change) plan {
	var p plan
	p.conditions(c)
	p.fields(c)
	p.credentials(c)
	p.tokens(c)
	p.put("_updatedAt", c.At, c.At.IsZero())
	return p
}

func (p *plan) conditions(c *user.Change) {
	if c.IfBcrypt != nil {
		p.cond("services.password.bcrypt", orMissing(*c.IfBcrypt))
	}
	if c.IfToken != "" {
		p.cond(pathHash, c.IfToken)
	}
	if c.IfNoTokenName != "" {
		p.cond(pathTokens, bson.D{{Key: "$not", Value: bson.D{{Key: "$elemMatch", Value: named(c.IfNoTokenName)}}}})
	}
	if c.IfUsername != nil {
		p.cond("username", orMissing(*c.IfUsername))
	}
	if c.IfEmails != nil {
		for i, e := range *c.IfEmails {
			at := "emails." + strconv.Itoa(i)
			p.cond(at+".address", e.Address)
			if e.Verified {
				p.cond(at+".verified", true)
			} else {
				p.cond(at+".verified", bson.D{{Key: "$ne", Value: true}})
			}
		}
		p.cond("emails."+strconv.Itoa(len(*c.IfEmails)), bson.D{{Key: "$exists", Value: false}})
	}
	if c.IfResetToken != "" {
		p.when = append(p.when, bson.D{{Key: "$or", Value: bson.A{
			bson.D{{Key: pathReset + ".token", Value: c.IfResetToken}}, bson.D{{Key: pathEarlier + ".token", Value: c.IfResetToken}}, bson.D{{Key: pathEnroll + ".token", Value: c.IfResetToken}}}}})
	}
	p.links(c)
	if c.IfVerification != "" {
		p.cond(pathVerifications+".token", c.IfVerification)
	}
	if c.IfEmail2FA != nil {
		if *c.IfEmail2FA {
			p.cond("services.email2fa.enabled", true)
		} else {
			p.cond("services.email2fa.enabled", bson.D{{Key: "$ne", Value: true}})
		}
	}
	if c.IfTOTP != nil {
		if *c.IfTOTP {
			p.cond(pathEnabled, true)
		} else {
			p.cond(pathEnabled, bson.D{{Key: "$ne", Value: true}})
		}
	}
	if c.IfActive != nil {
		if *c.IfActive {
			p.cond("active", bson.D{{Key: "$ne", Value: false}})
		} else {
			p.cond("active", false)
		}
	}
}

// links are the conditions on whole lists of links.
func (p *plan) links(c *user.Change) {
	if c.IfReset != nil {
		p.cond(pathReset+".token", orMissing(*c.IfReset))
	}
	if c.IfVerifications == nil {
		return
	}
	for i, t := range *c.IfVerifications {
		p.cond(pathVerifications+"."+strconv.Itoa(i)+".token", t.Token)
	}
	p.cond(pathVerifications+"."+strconv.Itoa(len(*c.IfVerifications)), bson.D{{Key: "$exists", Value: false}})
}

// orMissing matches a text; the empty one is also matched by a missing field.
func orMissing(s string) any {
	if s == "" {
		return bson.D{{Key: "$in", Value: bson.A{nil, ""}}}
	}
	return s
}

func named(name string) bson.D {
	return bson.D{{Key: "type", Value: user.PersonalAccessToken}, {Key: "name", Value: name}}
}

func (p *plan) fields(c *user.Change) {
	for _, f := range []struct {
		path string
		v    *string
	}{{"username", c.Username}, {"name", c.Name}, {"status", c.Status}, {"statusDefault", c.StatusDefault}, {"statusText", c.StatusText}, {"language", c.Language}, {"type", c.Type}} {
		if f.v != nil {
			p.put(f.path, *f.v, *f.v == "")
		}
	}
	var keys user.User
	if c.Username != nil {
		keys.Username = *c.Username
		keys.FillKeys()
		p.put("ddpUsernameKey", keys.UsernameKey, keys.UsernameKey == "")
	}
	if c.Emails != nil {
		keys.Emails = *c.Emails
		keys.FillKeys()
		p.put("emails", *c.Emails, len(*c.Emails) == 0)
		// Never an empty array: a unique index would allow it once.
		p.put("ddpEmailKeys", keys.EmailKeys, len(keys.EmailKeys) == 0)
	}
	if c.Roles != nil {
		p.put("roles", *c.Roles, len(*c.Roles) == 0)
	}
	if c.Profile != nil {
		p.put("profile", *c.Profile, len(*c.Profile) == 0)
	}
	if c.CustomFields != nil {
		p.put("customFields", *c.CustomFields, len(*c.CustomFields) == 0)
	}
	if c.Active != nil {
		p.put("active", *c.Active, false)
	}
}

func (p *plan) credentials(c *user.Change) {
	if c.Bcrypt != nil {
		p.put("services.password.bcrypt", *c.Bcrypt, *c.Bcrypt == "")
	}
	switch {
	case c.ResetAt != nil:
		p.put("services.password.resetAt", *c.ResetAt, c.ResetAt.IsZero())
	case c.Bcrypt != nil:
		p.put("services.password.resetAt", nil, true)
	}
	for _, l := range []struct {
		path string
		v    *user.ResetToken
	}{{pathReset, c.Reset}, {pathEnroll, c.Enroll}} {
		if l.v != nil || c.Bcrypt != nil {
			p.put(l.path, l.v, l.v == nil)
		}
	}
	if c.Earlier != nil || c.Bcrypt != nil {
		var earlier []user.ResetToken
		if c.Earlier != nil {
			earlier = *c.Earlier
		}
		p.put(pathEarlier, earlier, len(earlier) == 0)
	}
	if c.Pending != nil {
		p.put(pathPending, *c.Pending, c.Pending.Address == "")
	}
	switch {
	case c.Verifications != nil:
		p.put(pathVerifications, *c.Verifications, len(*c.Verifications) == 0)
	case c.ClearVerification != "" && c.AddVerification != nil:
		p.rewrite = append(p.rewrite, pathVerifications)
	case c.ClearVerification != "":
		p.pull = append(p.pull, bson.E{Key: pathVerifications, Value: bson.D{{Key: "address", Value: c.ClearVerification}}})
	case c.AddVerification != nil:
		p.push = append(p.push, bson.E{Key: pathVerifications, Value: *c.AddVerification})
	}
	if c.Email2FA != nil {
		p.put("services.email2fa.enabled", c.Email2FA.Enabled, false)
		p.put("services.email2fa.changedAt", c.Email2FA.ChangedAt, c.Email2FA.ChangedAt.IsZero())
	}
	if c.ClearTOTP {
		p.put("services.totp", nil, true)
	}
}

func (p *plan) tokens(c *user.Change) {
	removal := c.RemoveToken != "" || c.RemoveSessions || c.RemoveTokens || c.RemoveNamed != ""
	switch {
	case c.UpgradeToken != nil, c.ClearTrust, removal && c.AddToken != nil:
		p.rewrite = append(p.rewrite, pathTokens)
	case c.AddToken != nil:
		p.push = append(p.push, bson.E{Key: pathTokens, Value: *c.AddToken})
	case removal:
		p.pull = append(p.pull, bson.E{Key: pathTokens, Value: removed(c)})
	}
}

// removed matches the login tokens that a Change removes.
func removed(c *user.Change) bson.D {
	// A condition of $pull starts with a field, or servers may take it for an
	// expression on the element; this one is always true.
	any := bson.D{{Key: "hashedToken", Value: bson.D{{Key: "$ne", Value: false}}}}
	var match bson.D
	if c.KeepToken != "" {
		match = append(match, bson.E{Key: "hashedToken", Value: bson.D{{Key: "$ne", Value: c.KeepToken}}})
	}
	if c.RemoveTokens {
		if match == nil {
			match = any
		}
		return match
	}
	var or bson.A
	if c.RemoveSessions {
		or = append(or, bson.D{{Key: "type", Value: bson.D{{Key: "$ne", Value: user.PersonalAccessToken}}}})
	}
	if c.RemoveToken != "" {
		or = append(or, bson.D{{Key: "hashedToken", Value: c.RemoveToken}})
	}
	if c.RemoveNamed != "" {
		or = append(or, named(c.RemoveNamed))
	}
	if len(or) == 1 && match == nil {
		return or[0].(bson.D)
	}
	if match == nil {
		match = any
	}
	return append(match, bson.E{Key: "$or", Value: or})
}
