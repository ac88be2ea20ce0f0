package app

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/audit"
	"ddpserver/internal/config"
	"ddpserver/internal/fault"
	"ddpserver/internal/feed"
	"ddpserver/internal/secret"
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
	if _, err := serverKey(c); err != nil {
		return "", err
	}
	st, err := openStore(ctx, c, false, log, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	set, err := newSettings(c, st, nil, log)
	if err != nil {
		return "", err
	}
	if err := set.Load(ctx); err != nil {
		return "", fmt.Errorf("the settings cannot be read: %w", err)
	}
	events, err := operatorAudit(c)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, events.Close()) }()
	svc, err := accounts.New(accounts.Options{
		Store: st, Settings: set, Mailer: noMail{}, Feed: noFeed{}, Audit: events, RootURL: c.RootURL, Logger: log,
	})
	if err != nil {
		return "", err
	}
	if err := followAccounts(ctx, svc, st, set, noFeed{}); err != nil {
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

// noMail refuses: making an account by an operator mails nothing.
type noMail struct{}

func (noMail) Send(context.Context, accounts.Message) error {
	return errors.New("no mail from the command line")
}

// noFeed drops news: nobody can be logged in as a new account.
type noFeed struct{}

func (noFeed) Publish(feed.Event) {}
