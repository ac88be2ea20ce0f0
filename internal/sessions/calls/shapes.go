package calls

import (
	"time"

	"ddpserver/internal/rest"
	"ddpserver/internal/sessions"
	"ddpserver/internal/user"
)

// The results over DDP. What is unknown is left out.
type (
	part struct {
		Sessions []element `json:"sessions"`
		Count    int       `json:"count"`
		Offset   int       `json:"offset"`
		Total    int       `json:"total"`
	}
	element struct {
		ID           string    `json:"id"`
		UserID       string    `json:"userId"`
		Current      bool      `json:"current"`
		Connected    bool      `json:"connected"`
		CreatedAt    time.Time `json:"createdAt"`
		ExpiresAt    time.Time `json:"expiresAt"`
		LastUsedAt   time.Time `json:"lastUsedAt,omitempty"`
		TrustedUntil time.Time `json:"trustedUntil,omitempty"`
		Made         origin    `json:"made"`
		Used         origin    `json:"used"`
		User         *person   `json:"user,omitempty"`
	}
	origin struct {
		Kind          string `json:"kind"`
		Client        string `json:"client,omitempty"`
		ClientVersion string `json:"clientVersion,omitempty"`
		OS            string `json:"os,omitempty"`
		OSVersion     string `json:"osVersion,omitempty"`
		Address       string `json:"address,omitempty"`
		Door          string `json:"door,omitempty"`
	}
	person struct {
		ID       string `json:"_id"`
		Username string `json:"username,omitempty"`
		Name     string `json:"name,omitempty"`
	}
)

// list is the result of a list; owners says that it shows whose sessions they are.
func list(found []sessions.Session, offset, total int, owners bool) part {
	p := part{Sessions: make([]element, len(found)), Count: len(found), Offset: offset, Total: total}
	for i, s := range found {
		p.Sessions[i] = show(s, owners)
	}
	return p
}

func show(s sessions.Session, owner bool) element {
	e := element{
		ID: s.ID, UserID: s.UserID, Current: s.Current, Connected: s.Connected, CreatedAt: s.Made, ExpiresAt: s.Expires, LastUsedAt: s.Used,
		TrustedUntil: s.Trusted, Made: from(s.MadeFrom), Used: from(s.UsedFrom),
	}
	if owner {
		e.User = &person{s.UserID, s.Username, s.Name}
	}
	return e
}

func from(o user.Origin) origin {
	return origin{o.Kind, o.Client, o.ClientVersion, o.System, o.SystemVersion, o.Address, o.Door}
}

// The answers over REST, in Rocket.Chat's shapes: the device and the address are those
// of the login, and stand under last… for the last use.
type (
	sessionPage struct {
		Sessions []shownSession `json:"sessions"`
		rest.Extent
	}
	shownSession struct {
		ID             string     `json:"_id"`
		SessionID      string     `json:"sessionId"`
		UserID         string     `json:"userId"`
		Device         device     `json:"device"`
		IP             string     `json:"ip" about:"as the setting Accounts_Sessions_Address allows: an address, a network, or empty"`
		LoginAt        time.Time  `json:"loginAt"`
		LastActivityAt time.Time  `json:"lastActivityAt" about:"right to the hour"`
		LastDevice     device     `json:"lastDevice"`
		LastIP         string     `json:"lastIp"`
		ExpiresAt      time.Time  `json:"expiresAt"`
		TrustedUntil   time.Time  `json:"trustedUntil,omitempty" about:"until when a second factor is remembered"`
		Current        bool       `json:"current" about:"the session that asks"`
		Connected      bool       `json:"connected" about:"has an open connection on the node that answers"`
		User           *shownUser `json:"_user,omitempty"`
	}
	device struct {
		Type        string   `json:"type" enum:"browser,mobile,desktop,program,unknown"`
		Name        string   `json:"name"`
		Version     string   `json:"version"`
		LongVersion string   `json:"longVersion"`
		OS          deviceOS `json:"os"`
	}
	deviceOS struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	shownUser struct {
		ID       string `json:"_id"`
		Username string `json:"username,omitempty"`
		Name     string `json:"name,omitempty"`
	}
	// oneSession is a session as an answer of its own.
	oneSession struct{ shownSession }

	sessionQuery struct {
		rest.Page
		Filter string `json:"filter,omitempty" about:"in a user name, a name, an address, or the name of a program or system"`
		Sort   string `json:"sort,omitempty" about:"{\"loginAt\": -1}; also lastActivityAt, device.name, device.os.name, device.os.version, _user.name, _user.username"`
	}
	allSessionsQuery struct {
		sessionQuery
		UserID  string `json:"userId,omitempty"`
		Address string `json:"address,omitempty" about:"in an address, or one in the network that was kept"`
		Client  string `json:"client,omitempty" about:"in the name of a program"`
	}
	sessionRef struct {
		SessionID string `json:"sessionId"`
	}
	endedSession struct {
		SessionID string `json:"sessionId"`
	}
	sessionChoice struct {
		SessionID string `json:"sessionId,omitempty" about:"all of the account's without it"`
	}
)

func restPage(p part) sessionPage {
	out := sessionPage{Sessions: make([]shownSession, len(p.Sessions)), Extent: rest.Extent{Count: p.Count, Offset: p.Offset, Total: p.Total}}
	for i, e := range p.Sessions {
		out.Sessions[i] = restSession(e)
	}
	return out
}

func restSession(e element) shownSession {
	s := shownSession{
		ID: e.ID, SessionID: e.ID, UserID: e.UserID, Device: restDevice(e.Made), IP: e.Made.Address, LoginAt: e.CreatedAt, LastActivityAt: e.LastUsedAt,
		LastDevice: restDevice(e.Used), LastIP: e.Used.Address, ExpiresAt: e.ExpiresAt, TrustedUntil: e.TrustedUntil, Current: e.Current, Connected: e.Connected,
	}
	if s.LastActivityAt.Before(s.LoginAt) {
		s.LastActivityAt = s.LoginAt
	}
	if u := e.User; u != nil {
		s.User = &shownUser{u.ID, u.Username, u.Name}
	}
	return s
}

func restDevice(o origin) device {
	return device{Type: o.Kind, Name: o.Client, Version: o.ClientVersion, LongVersion: o.ClientVersion, OS: deviceOS{o.OS, o.OSVersion}}
}
