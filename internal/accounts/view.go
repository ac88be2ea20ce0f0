package accounts

import (
	"ddpserver/internal/ejson"
	"ddpserver/internal/user"
)

// Views of an account for those who may see it. Each is an allow-list: a new
// member of user.User is shown nowhere until it is named here. Nothing of
// services ever is, but the "enabled" flags in the owner's own view (S081).

// Public is what every logged-in user may know of an account.
func Public(u *user.User) ejson.Doc {
	d := ejson.Doc{{Key: "_id", Value: u.ID}}
	add := adder(&d)
	add("username", u.Username, u.Username != "")
	add("name", u.Name, u.Name != "")
	add("type", u.Type, u.Type != "")
	add("active", u.IsActive(), true)
	add("status", presence(u), true)
	add("statusText", u.StatusText, u.StatusText != "")
	add("avatarETag", u.AvatarETag, u.AvatarETag != "")
	return d
}

// Full is what an administrator may know of somebody's account.
func Full(u *user.User) ejson.Doc {
	d := Public(u)
	add := adder(&d)
	add("createdAt", u.CreatedAt, !u.CreatedAt.IsZero())
	add("_updatedAt", u.UpdatedAt, !u.UpdatedAt.IsZero())
	add("emails", emails(u), len(u.ShownEmails()) > 0)
	add("roles", roles(u), true)
	add("reason", u.Reason, u.Reason != "")
	add("language", u.Language, u.Language != "")
	add("customFields", u.CustomFields, len(u.CustomFields) > 0)
	return d
}

// Own is the account to its owner, as REST's "me" and login answers give it.
func Own(u *user.User) ejson.Doc {
	d := Full(u).Without("reason")
	add := adder(&d)
	add("statusDefault", u.StatusDefault, u.StatusDefault != "")
	add("avatarOrigin", u.AvatarOrigin, u.AvatarOrigin != "")
	add("profile", u.Profile, len(u.Profile) > 0)
	if len(u.Emails) > 0 {
		add("email", u.Emails[0].Address, true)
	}
	add("services", OwnServices(u), true)
	add("settings", ejson.Doc{{Key: "preferences", Value: ejson.Doc{}}}, true)
	return d
}

// OwnServices tells the owner which credentials the account has, not what they are.
func OwnServices(u *user.User) ejson.Doc {
	flag := func(key string, v bool) ejson.Doc { return ejson.Doc{{Key: key, Value: v}} }
	d := ejson.Doc{{Key: "password", Value: flag("exists", u.PasswordHash() != "")}}
	add := adder(&d)
	for _, f := range u.Factors() {
		state := flag("enabled", true)
		if !f.ResetDue.IsZero() {
			state = append(state, ejson.Field{Key: "resetDue", Value: f.ResetDue})
		}
		add(f.Key, state, f.On)
	}
	return d
}

func adder(d *ejson.Doc) func(key string, v any, show bool) {
	return func(key string, v any, show bool) {
		if show {
			*d = append(*d, ejson.Field{Key: key, Value: v})
		}
	}
}

func presence(u *user.User) string {
	if u.Status == "" {
		return "offline"
	}
	return u.Status
}

func emails(u *user.User) []any {
	out := make([]any, len(u.ShownEmails()))
	for i, e := range u.ShownEmails() {
		out[i] = ejson.Doc{{Key: "address", Value: e.Address}, {Key: "verified", Value: e.Verified}}
	}
	return out
}

func roles(u *user.User) []string {
	if u.Roles == nil {
		return []string{}
	}
	return u.Roles
}
