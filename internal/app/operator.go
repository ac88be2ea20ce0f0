package app

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"

	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/audit"
	"ddpserver/internal/config"
	"ddpserver/internal/fault"
	"ddpserver/internal/feed"
	"ddpserver/internal/mail"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
)

// NewUser is an account that an operator makes on the command line.
type NewUser struct {
	Username, Email, Name string
	Verified              bool
	// Roles default to "user".
	Roles    []string
	Password secret.String
	Email2FA bool
}

// CreateUser makes an account in the store of the configuration, beside a
// running server or without one, and returns its id. On a new data directory it
// makes what a first start would make, but no administrator.
func CreateUser(ctx context.Context, c *config.Config, log *zap.Logger, n NewUser) (id string, err error) {
	if problems, _ := Check(c); len(problems) > 0 {
		return "", config.Problems(problems)
	}
	key, err := serverKey(c)
	if err != nil {
		return "", err
	}
	st, err := openStore(ctx, c, false, log, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	set, err := openSettings(ctx, c, st, nil, log)
	if err != nil {
		return "", err
	}
	events, err := operatorAudit(c)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, events.Close()) }()
	kept := openTrail(st, set, events, nil, "command line", log)
	outbox, err := operatorMail(c, st, key, set, log)
	if err != nil {
		return "", err
	}
	passwords, err := accounts.NewPasswords(accounts.PasswordOptions{Store: st, Key: key})
	if err != nil {
		return "", err
	}
	slice, err := openRooms(ctx, st, set, noFeed{}, key, nil)
	if err != nil {
		return "", err
	}
	svc, err := accounts.New(accounts.Options{
		Store: st, Settings: set, Mailer: outbox, Feed: noFeed{}, Audit: kept.recorder(), Passwords: passwords,
		Follower: slice.follower(), RootURL: c.RootURL, Logger: log,
	})
	if err != nil {
		return "", err
	}
	u, err := svc.CreateByOperator(ctx, accounts.OperatorAccount{
		Username: n.Username, Email: n.Email, Name: n.Name, Verified: n.Verified, Roles: n.Roles, Password: n.Password, Email2FA: n.Email2FA,
	})
	if f, ok := fault.From(err); err != nil && ok {
		return "", errors.New(f.Reason)
	}
	if err != nil {
		return "", err
	}
	if err := kept.flush(ctx); err != nil { // the account is made, and the file has it
		log.Warn("audit_copy_failing", zap.Error(err))
	}
	return u.ID, nil
}

// operatorAudit appends to the same file as the server; lines of both are whole.
func operatorAudit(c *config.Config) (*audit.Log, error) {
	o := audit.Options{Path: c.AuditFile, Node: "command line"}
	if c.AuditFile == config.AuditOff || c.AuditFile == config.AuditStdout {
		o.Out = nowhere{}
	} else if err := auditDir(c); err != nil {
		return nil, err
	}
	l, err := audit.Open(o)
	if err != nil {
		return nil, explainAudit(c, err)
	}
	return l, nil
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// operatorMail puts mails into the server's outbox and delivers none: the server
// does, now or when it is started next. The other administrators are told of one
// who is made here.
func operatorMail(c *config.Config, st store.Store, key *secret.Key, set *settings.Service, log *zap.Logger) (*mailer, error) {
	outbox, err := mail.New(mail.Options{
		Store: st, Key: key, Transport: mail.Files(filepath.Join(c.DataDir, "outbox")), Node: "command line", Logger: log,
		From: func() string { return cmp.Or(set.String(settings.FromEmail), c.MailFrom) },
		Site: func() string { return set.String(settings.SiteName) },
	})
	return &mailer{outbox: outbox}, err
}

// noFeed drops news: nobody can be logged in as a new account.
type noFeed struct{}

func (noFeed) Publish(feed.Event) {}
