package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/budget"
	"ddpserver/internal/config"
	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/feed"
	"ddpserver/internal/feed/natsfeed"
	"ddpserver/internal/mail"
	"ddpserver/internal/passkey"
	"ddpserver/internal/random"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/realtime"
	"ddpserver/internal/sessions"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/twofactor"
)

func (a *App) openStore(ctx context.Context) (err error) {
	a.store, err = openStore(ctx, a.cfg, true, a.log, a.observeStore)
	if err == nil {
		a.onClose(a.store.Close)
	}
	return err
}

// observeStore counts one operation. What a condition refused is no failure of
// the store; an unknown outcome is.
func (a *App) observeStore(operation string, took time.Duration, err error) {
	outcome := "ok"
	switch {
	case errors.Is(err, dberr.Unavailable) && !errors.Is(err, context.Canceled):
		outcome = "unavailable"
		a.storeFailed.Store(time.Now().UnixNano())
	case err != nil:
		outcome = "refused"
	}
	a.metrics.Store.Observe(operation, "", outcome, took)
}

// openStore opens the store of the configuration. server takes the lock of the
// data directory; without it, the store may be opened beside a running server.
// observe may be nil.
func openStore(ctx context.Context, c *config.Config, server bool, log *zap.Logger, observe func(string, time.Duration, error)) (store.Store, error) {
	if u := c.MongoURL.Reveal(); u != "" {
		st, err := mongo.Open(ctx, u, mongo.Options{Logger: log, Observe: observe, Parts: slices.Concat(roomParts(), trailParts())})
		if err != nil {
			return nil, explainMongo(c, err)
		}
		return st, nil
	}
	st, err := sqlite.Open(c.DataDir, sqlite.Options{Server: server, Observe: observe, Schemas: slices.Concat(roomSchemas(), trailSchemas())})
	if err != nil {
		return nil, explainDir(c.DataDir, err)
	}
	return st, nil
}

// openSettings makes what every service needs: limits, the hub that carries news,
// and the settings as they are stored.
func (a *App) openSettings(ctx context.Context) (err error) {
	a.limiter = ratelimit.New(ratelimit.Options{})
	a.budget = newBudget(a.cfg)
	o := realtime.Options{Node: a.node + "/" + random.ID(), Logger: a.log}
	if o.Transport, err = a.openTransport(ctx); err != nil {
		return err
	}
	a.hub = realtime.New(o)
	a.nodes = realtime.NewNodes(a.hub, a.hello)
	if a.settings, err = openSettings(ctx, a.cfg, a.store, a.hub, a.log); err != nil {
		return err
	}
	return a.settings.Identify(ctx, random.ID())
}

// shared tells that other nodes may work on the database.
func (a *App) shared() bool { return a.cfg.MongoURL != "" }

// openTransport makes what carries news between nodes: NATS or polling where it is named,
// else the best that the database has. It is nil on the embedded store, which serves one.
func (a *App) openTransport(ctx context.Context) (feed.Transport, error) {
	db, shared := a.store.(*mongo.Store)
	if !shared {
		return nil, nil
	}
	polling := realtime.Poll(a.store)
	switch a.cfg.Transporter {
	case "":
		return db.News(ctx, polling), nil
	case config.Polling:
		return polling, nil
	}
	t, err := natsfeed.Open(natsfeed.Options{
		Address: a.cfg.Transporter.Reveal(), Node: a.node, Database: db.Database(), Key: a.key, Logger: a.log,
	})
	if err != nil {
		return nil, fmt.Errorf("TRANSPORTER: %s", oneLine(err))
	}
	a.onClose(t.Close)
	return t, nil
}

// newBudget makes the account of the bytes in flight: as configured, or a quarter
// of the memory limit that the program has set by now.
func newBudget(c *config.Config) *budget.Account {
	if n := int64(c.Limits.MaxBytesInFlight); n > 0 {
		return budget.New(n)
	}
	return budget.New(budget.Of(debug.SetMemoryLimit(-1)))
}

// settingsPoll is how often a node that shares its database reads the settings again,
// which other programs may have written. What nodes save is marked, and found by sweeps
// (docs/security-tests.md S109).
const settingsPoll = 5 * time.Minute

// openSettings reads the runtime settings, and adds what the configuration forces.
func openSettings(ctx context.Context, c *config.Config, st settings.Store, p feed.Publisher, log *zap.Logger) (*settings.Service, error) {
	table, err := settings.Initial(settings.Table(), c.Environ)
	if err != nil {
		return nil, err
	}
	o := settings.Options{
		Store: st, Publisher: p, Overrides: c.Settings, Definitions: append(table, settings.Facts(c.RootURL)...),
		Warn: func(text string, err error) { log.Warn("settings", zap.String("hint", text), zap.Error(err)) },
	}
	if _, _, err := passkey.NewParty(c.RootURL, c.AllowedOrigins); err != nil {
		o.NoPasskeys = err.Error()
	}
	if c.MongoURL != "" {
		o.Poll = settingsPoll
	}
	if db, ok := st.(*mongo.Store); ok {
		if o.MandatoryRoles, err = db.MandatoryRoles(ctx); err != nil {
			return nil, explainMongo(c, err)
		}
	}
	set, err := settings.Open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("the settings cannot be read: %w", err)
	}
	return set, nil
}

// mailTransport is the way mails go: over SMTP, or as files beside the database.
func mailTransport(c *config.Config) (*mail.Transport, error) {
	u := c.MailURL.Reveal()
	if u == "" {
		return mail.Files(filepath.Join(c.DataDir, "outbox")), nil
	}
	t, err := mail.Parse(u)
	if err != nil {
		return nil, fmt.Errorf("MAIL_URL: %w", err)
	}
	return t, nil
}

// SendTest sends a test mail the way that the configuration says, past the outbox, and
// writes the conversation with the mail server to w. The sender and the name of the
// site are those of the configuration, whatever the settings in the database say.
func SendTest(ctx context.Context, c *config.Config, to string, w io.Writer) error {
	t, err := mailTransport(c)
	if err != nil {
		return err
	}
	if err := t.Probe(ctx, c.MailFrom, to, c.RootURL, w); err != nil {
		return fmt.Errorf("MAIL_URL: %s", oneLine(err))
	}
	return nil
}

// newOutbox makes the mail outbox: over SMTP, or as files beside the database.
func (a *App) newOutbox() (*mail.Outbox, error) {
	transport, err := mailTransport(a.cfg)
	if err != nil {
		return nil, err
	}
	a.log.Info("mail_transport", zap.Stringer("to", transport))
	if transport.InClear() {
		a.log.Warn("mail_files_hold_clear_codes", zap.String("hint", "set MAIL_URL to send mail; until then every mail is a readable file"))
	}
	return mail.New(mail.Options{
		Store: a.store, Key: a.key, Transport: transport, Node: a.hub.Node(), Logger: a.log,
		From: func() string {
			if from := a.settings.String(settings.FromEmail); from != "" {
				return from
			}
			return a.cfg.MailFrom
		},
		Site:      func() string { return a.settings.String(settings.SiteName) },
		PlainText: func() bool { return a.settings.Bool(settings.PlainTextMail) },
		Observe:   func(outcome string) { a.metrics.Mail.Add(outcome, 1) },
	})
}

// stagger parts the answers to strangers from the work that they cause.
const stagger = 100 * time.Millisecond

// buildServices makes the services with the rules about mail, people and rooms.
func (a *App) buildServices(ctx context.Context) (err error) {
	if a.mail, err = a.newOutbox(); err != nil {
		return err
	}
	m := &mailer{outbox: a.mail}
	if a.passwords, err = accounts.NewPasswords(accounts.PasswordOptions{Store: a.store, Key: a.key}); err != nil {
		return err
	}
	party, err := a.relyingParty(ctx)
	if err != nil {
		return err
	}
	a.twofactor, err = twofactor.New(twofactor.Options{
		Store: a.store, Settings: a.settings, Key: a.key, Mailer: m, Passwords: a.passwords, Sources: a.passwords, MailLimit: a.limiter,
		Feed: a.hub, Audit: a.audit, Party: party, Node: a.hub.Node(), Stagger: stagger, MailsKept: a.mail.InClear(),
	})
	if err != nil {
		return err
	}
	if a.rooms, err = openRooms(ctx, a.store, a.settings, a.hub, a.key, a.cfg); err != nil {
		return err
	}
	a.onClose(a.rooms.close)
	if err := a.rooms.track(a.store, a.settings, a.hub, !a.shared(), a.log); err != nil {
		return err
	}
	a.accounts, err = accounts.New(accounts.Options{
		Store: a.store, Settings: a.settings, Mailer: m, Feed: a.hub, Audit: a.audit, Passwords: a.passwords, Factors: a.twofactor,
		Follower: a.rooms.follower(), Origin: sessions.Keeper(a.settings), Heard: a.hub.Heard(), RootURL: a.cfg.RootURL, Logger: a.log, Stagger: stagger,
	})
	return err
}

// noAdmin says that the server has no administrator and runs all the same: its users
// need none, and whoever starts it may not be who can say which account is to be one.
func (a *App) noAdmin() error {
	hint := "name another account in ADMIN_USERNAME and ADMIN_EMAIL, or make one with: ddpserver user create --role admin"
	a.log.Error("no_administrator", zap.String("username", a.cfg.AdminUsername), zap.String("hint", hint))
	_, err := fmt.Fprintf(a.opts.Out, "No administrator: %s or its address belongs to an account that is none: %s\n", a.cfg.AdminUsername, hint)
	return err
}

// ensureAdmin makes the administrator of a first start and says so, at once:
// a password that nobody saw would be lost.
func (a *App) ensureAdmin(ctx context.Context) error {
	created, password, err := a.accounts.EnsureAdmin(ctx, accounts.FirstAdmin{
		Username: a.cfg.AdminUsername, Email: a.cfg.AdminEmail, Name: a.cfg.AdminName, Password: a.cfg.AdminPass,
	})
	switch {
	case errors.Is(err, accounts.ErrNoAdmin):
		return a.noAdmin()
	case err != nil:
		if f, ok := fault.From(err); ok {
			return fmt.Errorf("ADMIN_USERNAME, ADMIN_EMAIL or ADMIN_PASS: the administrator cannot be made: %s", f.Reason)
		}
		return fmt.Errorf("the administrator cannot be made: %w", err)
	case !created:
		return nil
	}
	shown := password.Reveal()
	if shown == "" {
		shown = "(as set by ADMIN_PASS)"
	}
	a.log.Info("administrator_made", zap.String("username", a.cfg.AdminUsername), zap.String("hint", "the password is on standard output, once"))
	if _, err := fmt.Fprintf(a.opts.Out, "Administrator: %s Password: %s\n", a.cfg.AdminUsername, shown); err != nil {
		return fmt.Errorf("the administrator's password cannot be shown: %w", err)
	}
	return nil
}
