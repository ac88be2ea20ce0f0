package realtime

import (
	"ddpserver/internal/ejson"
	"ddpserver/internal/user"
)

// document is the "users" document that an account's owner gets. Nothing of the
// credentials is in it but whether the factors are on.
func document(u *user.User) ejson.Doc {
	var d ejson.Doc
	if u.Username != "" {
		d = append(d, ejson.Field{Key: "username", Value: u.Username})
	}
	if len(u.ShownEmails()) > 0 {
		d = append(d, ejson.Field{Key: "emails", Value: emails(u)})
	}
	if u.Name != "" {
		d = append(d, ejson.Field{Key: "name", Value: u.Name})
	}
	if u.Profile != nil {
		d = append(d, ejson.Field{Key: "profile", Value: u.Profile})
	}
	if len(u.Roles) > 0 {
		d = append(d, ejson.Field{Key: "roles", Value: u.Roles})
	}
	if u.Status != "" {
		d = append(d, ejson.Field{Key: "status", Value: u.Status})
	}
	var services ejson.Doc
	for _, f := range u.Factors() {
		state := ejson.Doc{{Key: "enabled", Value: f.On}}
		if !f.ResetDue.IsZero() { // the owner can stop it as long as it is not due
			state = append(state, ejson.Field{Key: "resetDue", Value: f.ResetDue})
		}
		services = append(services, ejson.Field{Key: f.Key, Value: state})
	}
	return append(d, ejson.Field{Key: "services", Value: services})
}

func emails(u *user.User) []any {
	list := make([]any, len(u.ShownEmails()))
	for i, e := range u.ShownEmails() {
		list[i] = ejson.Doc{{Key: "address", Value: e.Address}, {Key: "verified", Value: e.Verified}}
	}
	return list
}

// flat is the account with dotted keys, as userData tells of changes: the
// document's fields, and the lists of sessions and tokens without their hashes.
func flat(u *user.User) ejson.Doc {
	d := document(u)
	d = d[:len(d)-1]
	for _, f := range u.Factors() {
		switch {
		case !f.Dated:
			d = append(d, ejson.Field{Key: "services." + f.Key + ".enabled", Value: f.On})
		case f.Held:
			d = append(d, ejson.Field{Key: "services." + f.Key, Value: ejson.Doc{{Key: "enabled", Value: f.On}, {Key: "changedAt", Value: f.Changed}}})
		}
	}
	if r := u.Services.Resume; r != nil {
		d = append(d, ejson.Field{Key: "services.resume.loginTokens", Value: tokens(r.LoginTokens)})
	}
	for _, f := range []struct{ key, value string }{
		{"statusText", u.StatusText}, {"statusDefault", u.StatusDefault}, {"language", u.Language}, {"type", u.Type},
		{"avatarETag", u.AvatarETag}, {"avatarOrigin", u.AvatarOrigin},
	} {
		if f.value != "" {
			d = append(d, ejson.Field{Key: f.key, Value: f.value})
		}
	}
	return append(d, ejson.Field{Key: "active", Value: u.IsActive()})
}

func tokens(list []user.LoginToken) []any {
	out := make([]any, len(list))
	for i, t := range list {
		if t.IsPAT() {
			out[i] = ejson.Doc{
				{Key: "type", Value: t.Type}, {Key: "name", Value: t.Name}, {Key: "createdAt", Value: t.CreatedAt},
				{Key: "lastTokenPart", Value: t.LastTokenPart}, {Key: "bypassTwoFactor", Value: t.BypassTwoFactor},
			}
		} else {
			out[i] = ejson.Doc{{Key: "when", Value: t.When}}
		}
	}
	return out
}

// difference tells which fields are new or different in after, and which are gone.
func difference(before, after ejson.Doc) (changed ejson.Doc, cleared []string) {
	for _, f := range after {
		if old, ok := before.Get(f.Key); !ok || !ejson.Equal(old, f.Value) {
			changed = append(changed, f)
		}
	}
	for _, f := range before {
		if _, ok := after.Get(f.Key); !ok {
			cleared = append(cleared, f.Key)
		}
	}
	return changed, cleared
}
