package adopt

import (
	"context"
	"slices"
	"strings"

	"ddpserver/internal/accounts"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// finding is a kind of thing that is counted.
type finding int

const (
	objectIDs finding = iota
	unreadable
	sameName
	noPassword
	strangeHash
	strangeSecret
	mustChange
	encrypted
	blocked
	invited
	closedRegistration
	meteorApps
	apps
	mailCodes
	argonHashes
	deactivated
	secretRegistration
	disabledRegistration
	mandatoryRoles
	joinCodes
	muted
	readOnly
	unmuted
	pendingApps
	ownRoles
	passwordRules
)

// findings is what is told of each, in the order of a report.
var findings = []struct {
	finding finding
	verdict Verdict
	what    string
}{
	{objectIDs, Stops, "accounts with an ObjectID as _id: give them text ids, wherever they are named"},
	{unreadable, Refused, "accounts that cannot be read: no login"},
	{strangeSecret, Refused, "accounts whose authenticator secret cannot be used: no code is right, an admin resets"},
	{mustChange, Refused, "accounts that must change the password: no login before a new one (link or admin)"},
	{strangeHash, Refused, "accounts whose password hash is of another kind or too costly: a link sets a new one"},
	{noPassword, Refused, "accounts without a password (LDAP, SAML, OAuth): no login before a link sets one"},
	{sameName, Refused, "names or addresses that differ only in case or width: the later one logs in by neither"},
	{encrypted, Refused, "encrypted rooms: nobody writes"},
	{blocked, Refused, "sides of blocked direct rooms: neither writes"},
	{invited, Refused, "invitations that nobody accepted: no membership before somebody adds them"},
	{closedRegistration, Refused, "way of registering that is unknown here: nobody registers"},
	{meteorApps, Honoured, "authenticator apps of Meteor (services.twoFactorAuthentication)"},
	{apps, Honoured, "authenticator apps of Rocket.Chat"},
	{mailCodes, Honoured, "accounts with codes by e-mail"},
	{argonHashes, Honoured, "argon2 passwords, hashed as bcrypt at the first login"},
	{deactivated, Honoured, "deactivated accounts: no login"},
	{secretRegistration, Honoured, "registration by Secret URL"},
	{disabledRegistration, Honoured, "registration is disabled"},
	{mandatoryRoles, Honoured, "roles whose users must have a second factor"},
	{joinCodes, Honoured, "channels with a join code"},
	{muted, Honoured, "muted members: they read only"},
	{readOnly, Honoured, "read-only or archived rooms, and broadcasts, which are read-only"},
	{unmuted, Honoured, "members who may write in read-only rooms"},
	{pendingApps, Ignored, "authenticator apps that wait for their first code: set up anew"},
	{ownRoles, Ignored, "roles that grant nothing here: rights are a fixed table (docs/protocol.md)"},
	{passwordRules, Ignored, "rules about characters and earlier passwords: only the least length counts"},
}

// look is a look under way.
type look struct {
	src                     Source
	counts                  map[finding]int
	mandatory               []string
	accountsSeen, roomsSeen int
}

func (l *look) found(f finding, there bool) {
	if there {
		l.counts[f]++
	}
}

func (l *look) accounts(ctx context.Context) error {
	names := map[string]bool{}
	taken := func(kind, text string) bool {
		key := kind + user.Key(text)
		was := names[key]
		names[key] = true
		return was
	}
	const meteor = "services." + user.MeteorFactor
	return l.src.Documents(ctx, Query{Collection: "users", Fields: []string{
		"username", "emails", "active", "type", "requirePasswordChange", "services.password.bcrypt", "services.password.argon2",
		"services.totp.enabled", "services.totp.secret", "services.email2fa.enabled", meteor,
	}}, func(d Document) {
		l.accountsSeen++
		id := d["_id"]
		_, odd := id.(ObjectID)
		text, _ := id.(string)
		l.found(objectIDs, odd)
		l.found(unreadable, !odd && text == "")
		same := d.text("username") != "" && taken("name ", d.text("username"))
		addresses, _ := d.At("emails").([]any)
		for _, a := range addresses {
			if m, ok := a.(map[string]any); ok {
				address, _ := m["address"].(string)
				same = address != "" && taken("address ", address) || same
			}
		}
		l.found(sameName, same)
		l.password(d)
		l.factors(d, meteor)
		l.found(mustChange, d.is("requirePasswordChange"))
		l.found(deactivated, d.At("active") == false)
	})
}

func (l *look) password(d Document) {
	argon, hash := d.text("services.password.argon2"), d.text("services.password.bcrypt")
	switch {
	case argon != "" && accounts.UsableArgon(argon):
		l.counts[argonHashes]++
	case argon != "" || hash != "" && !accounts.UsableBcrypt(hash):
		l.counts[strangeHash]++
	case hash == "":
		l.counts[noPassword]++
	}
}

func (l *look) factors(d Document, meteor string) {
	secret, kind := d.text("services.totp.secret"), apps
	on := d.is("services.totp.enabled")
	if !on && d.At(meteor+".secret") != nil {
		secret, kind = d.text(meteor+".secret"), meteorApps
		on = d.text(meteor+".type") == "otp"
		l.found(pendingApps, !on)
	}
	if on {
		l.counts[kind]++
		l.found(strangeSecret, !twofactor.UsableSecret(secret))
	}
	l.found(mailCodes, d.is("services.email2fa.enabled"))
}

func (l *look) rooms(ctx context.Context) (err error) {
	const rooms = "rocketchat_room"
	if l.roomsSeen, err = l.src.Count(ctx, rooms); err != nil {
		return err
	}
	return l.src.Documents(ctx, Query{
		Collection: rooms,
		Any: []Member{{"muted", nil}, {"unmuted", nil}, {"joinCodeRequired", true}, {"encrypted", true}, {"ro", true},
			{"archived", true}, {"broadcast", true}},
		Fields: []string{"muted", "unmuted", "joinCodeRequired", "encrypted", "ro", "archived", "broadcast"},
	}, func(d Document) {
		l.found(encrypted, d.is("encrypted"))
		l.found(joinCodes, d.is("joinCodeRequired"))
		l.found(readOnly, d.is("ro") || d.is("archived") || d.is("broadcast"))
		l.counts[muted] += d.list("muted")
		l.counts[unmuted] += d.list("unmuted")
	})
}

func (l *look) memberships(ctx context.Context) error {
	return l.src.Documents(ctx, Query{
		Collection: "rocketchat_subscription",
		Any:        []Member{{"blocked", true}, {"blocker", true}, {"status", "INVITED"}},
		Fields:     []string{"blocked", "blocker", "status"},
	}, func(d Document) {
		l.found(blocked, d.is("blocked") || d.is("blocker"))
		l.found(invited, d.text("status") == "INVITED")
	})
}

// roles: those of Rocket.Chat's own making are protected there.
func (l *look) roles(ctx context.Context) error {
	err := l.src.Documents(ctx, Query{Collection: "rocketchat_roles", Fields: []string{"scope", "mandatory2fa", "protected"}}, func(d Document) {
		l.found(ownRoles, d.At("protected") == false)
		if id, _ := d["_id"].(string); d.is("mandatory2fa") && d.text("scope") != "Subscriptions" {
			l.counts[mandatoryRoles]++
			l.mandatory = append(l.mandatory, strings.ToValidUTF8(id, ""))
		}
	})
	slices.Sort(l.mandatory)
	return err
}

func (l *look) settings(ctx context.Context) error {
	return l.src.Documents(ctx, Query{
		Collection: "rocketchat_settings",
		Any: []Member{{"_id", settings.RegistrationForm}, {"_id", "Accounts_Password_Policy_Enabled"},
			{"_id", "Accounts_Password_History_Enabled"}},
		Fields: []string{"value"},
	}, func(d Document) {
		switch value := d.At("value"); {
		case d["_id"] != settings.RegistrationForm:
			l.found(passwordRules, value == true)
		case value == settings.RegistrationSecret:
			l.counts[secretRegistration]++
		case value == settings.RegistrationDisabled:
			l.counts[disabledRegistration]++
		case value != settings.RegistrationPublic:
			l.counts[closedRegistration]++
		}
	})
}
