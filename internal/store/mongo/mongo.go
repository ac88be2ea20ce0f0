// Package mongo is the store on MongoDB, for several nodes on one database. It
// keeps the documents of Meteor and Rocket.Chat, so it can also adopt a database
// of theirs (see adopt.go).
//
// A document is changed by a function on its value (Documents.Change), which is the
// operation's rule from package rule: read, run, and write what became different on
// condition that what was read is still so. Claims and counters of several documents
// are single conditional commands; unique names are inserts and updates against
// unique indexes. Slices may write several documents in one transaction, where the database
// has them (see transaction.go); nothing here does. There are no pipelines, $expr, positional $, regular expressions or collations. Writes
// are acknowledged by a majority and journaled, reads go to the primary, and
// no operation takes longer than opTimeout. News comes over a change stream where the
// server has them (see streams.go). Whenever the outcome is unknown the
// answer is dberr.Unavailable, never success.
//
// Errors of the server are reduced to their code and name: their text quotes
// documents. Package mongotest is the server its tests run on.
package mongo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/mail"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

const (
	// opTimeout bounds every operation, the driver's own retry included, unless the
	// URL says otherwise (timeoutMS). A call must be refused within five seconds
	// (docs/security-tests.md S110); this leaves it some to say so.
	opTimeout = 4500 * time.Millisecond
	// connectTimeout bounds the first contact.
	connectTimeout = 10 * time.Second
	// closeTimeout bounds waiting for operations under way at Close.
	closeTimeout = 5 * time.Second
)

// Options say how to open a store. The zero value is usable.
type Options struct {
	// Logger hears what an operator should know about an adopted database. Nil is silent.
	Logger *zap.Logger
	// Now tells the time for what the store itself lets age. Nil means time.Now.
	Now func() time.Time
	// Observe is told of every command that the driver sent, by name. It must be
	// fast. Nil means nobody.
	Observe func(command string, took time.Duration, err error)
	// Parts are what slices of the program keep in the same database.
	Parts []Part
}

// Store is the store on MongoDB.
type Store struct {
	timeLimit
	client *driver.Client
	db     *driver.Database
	log    *zap.Logger
	now    func() time.Time

	users, guards, tries, settings, batches, outbox, events, counters, marks *driver.Collection

	rule.Operations
	changes   changes
	userDocs  *Documents[user.User]
	guardDocs *Documents[guardDoc]
	triesDocs *Documents[triesDoc]
	mailDocs  *Documents[mail.Item]
	// leavingDocs has one document, see admins.go.
	leavingDocs *Documents[leaving]

	cursors      cursors
	elections    *elections
	transactions bool
}

// Open connects to the database that rawURL names, creates its indexes, brings
// normalised keys and interrupted changes up to date, and returns the store.
// Building indexes on a big adopted collection takes as long as ctx allows.
func Open(ctx context.Context, rawURL string, o Options) (_ *Store, err error) {
	name, err := databaseName(rawURL)
	if err != nil {
		return nil, err
	}
	opts, limit := clientOptions(rawURL)
	opts.SetWriteConcern(durable()).
		SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary())
	elected := &elections{}
	opts.SetMonitor(monitor(o.Observe)).SetServerMonitor(elected.monitor())
	if err := opts.Validate(); err != nil {
		// The driver's text may quote the URL, and with it the password.
		return nil, errors.New("MongoDB: " + strings.ReplaceAll(err.Error(), rawURL, "the URL"))
	}
	client, err := driver.Connect(opts)
	if err != nil {
		return nil, fmt.Errorf("MongoDB: %w", err)
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	db := client.Database(name)
	s := &Store{
		client: client, db: db, log: o.Logger, now: o.Now, timeLimit: limit, elections: elected,
		users:    db.Collection("users"),
		guards:   db.Collection("ddpserver_guards"),
		tries:    db.Collection("ddpserver_tries"),
		settings: db.Collection("rocketchat_settings"),
		batches:  db.Collection("ddpserver_setting_batches"),
		outbox:   db.Collection("ddpserver_outbox"),
		events:   db.Collection("ddpserver_events", options.Collection().SetWriteConcern(writeconcern.W1())),
		counters: db.Collection("ddpserver_counters"),
		marks:    db.Collection("ddpserver_marks"),
	}
	s.openDocuments(o)
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	first, cancel := context.WithTimeout(ctx, max(connectTimeout, time.Duration(limit)))
	defer cancel()
	if err := client.Ping(first, readpref.Primary()); err != nil {
		return nil, fmt.Errorf("MongoDB does not answer: %w", failure(err))
	}
	if err := s.refuseObjectIDs(first); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, o.Parts); err != nil {
		return nil, fmt.Errorf("prepare MongoDB: %w", err)
	}
	return s, nil
}

// durable is what every write but news waits for.
func durable() *writeconcern.WriteConcern {
	journal := true
	return &writeconcern.WriteConcern{W: "majority", Journal: &journal}
}

// prepare brings the database up to date.
func (s *Store) prepare(ctx context.Context, parts []Part) error {
	if err := s.ensureIndexes(ctx, parts); err != nil {
		return err
	}
	steps := []func(context.Context) error{s.ensureCounters, s.findTransactions, s.adopt, s.fillListing, s.recoverBatches}
	for _, p := range parts {
		if p.Adopt != nil {
			steps = append(steps, func(ctx context.Context) error { return p.Adopt(ctx, s, s.log) })
		}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// openDocuments says how the documents that change by functions are read.
func (s *Store) openDocuments(o Options) {
	s.changes.init(s.now, func(took time.Duration) {
		if o.Observe != nil {
			o.Observe("lostRound", took, nil)
		}
	})
	s.Operations = rule.On(s)
	s.userDocs = NewDocuments(s, s.users, DocumentOptions[user.User]{
		Decode: document.StoredUser, Adopt: document.AdoptFactor, Derive: rule.Keys, Marked: user.Marked,
	})
	s.guardDocs = NewDocuments(s, s.guards, DocumentOptions[guardDoc]{New: func(id string) *guardDoc { return &guardDoc{Guard: twofactor.Guard{UserID: id}} }})
	s.triesDocs = NewDocuments(s, s.tries, DocumentOptions[triesDoc]{New: func(key string) *triesDoc { return &triesDoc{Tries: accounts.Tries{Key: key}} }})
	s.mailDocs = NewDocuments(s, s.outbox, DocumentOptions[mail.Item]{})
	s.leavingDocs = NewDocuments(s, s.counters, DocumentOptions[leaving]{New: func(id string) *leaving { return &leaving{ID: id} }})
}

// databaseName takes the database out of a MongoDB URL, which net/url cannot
// read when it lists several hosts.
func databaseName(rawURL string) (string, error) {
	_, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return "", errors.New("MongoDB: the URL must start with mongodb:// or mongodb+srv://")
	}
	_, path, _ := strings.Cut(rest, "/")
	path, _, _ = strings.Cut(path, "?")
	name, err := url.PathUnescape(path)
	if err != nil || name == "" {
		return "", errors.New("MongoDB: the URL names no database, write mongodb://host/NAME")
	}
	return name, nil
}

// Database is the name of the database.
func (s *Store) Database() string { return s.db.Name() }

// Ping tells whether the primary answers.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := s.op(ctx)
	defer cancel()
	return failure(s.client.Ping(ctx, readpref.Primary()))
}

// Close ends the connections after the operations under way.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := s.client.Disconnect(ctx); err != nil && !errors.Is(err, driver.ErrClientDisconnected) {
		return fmt.Errorf("MongoDB: %w", err)
	}
	return nil
}

// clientOptions are those of every client. The driver would give the time of the
// URL (timeoutMS) to each command; here it is that of a whole operation.
func clientOptions(rawURL string) (*options.ClientOptions, timeLimit) {
	opts := options.Client().ApplyURI(rawURL).SetAppName("ddpserver")
	limit := opTimeout
	if opts.Timeout != nil && *opts.Timeout > 0 {
		limit = *opts.Timeout
	}
	opts.Timeout = nil
	return opts.SetServerSelectionTimeout(limit).SetConnectTimeout(limit), timeLimit(limit)
}

// timeLimit is the longest time of one operation.
type timeLimit time.Duration

// op gives an operation its time.
func (l timeLimit) op(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(l))
}

// failure gives an error of the driver its place in dberr; errors of our own pass.
func failure(err error) error {
	var server driver.ServerError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, driver.ErrNoDocuments):
		return dberr.NotFound
	case own(err):
		return err
	case driver.IsDuplicateKeyError(err):
		return duplicate(err)
	case errors.As(err, &server):
		return serverFailure(server)
	}
	return fmt.Errorf("MongoDB: %w: %w", dberr.Unavailable, err)
}

func own(err error) bool {
	for _, e := range []error{dberr.NotFound, dberr.Conflict, dberr.Duplicate, dberr.DuplicateEmail, dberr.DuplicateUsername,
		dberr.Exhausted, dberr.LastAdmin, dberr.Unavailable, document.ErrBroken} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// unfit are the codes with which a server refuses an update because the stored
// document has another shape: nothing was changed and never will be.
var unfit = []int{2 /* BadValue */, 14 /* TypeMismatch */, 28 /* PathNotViable */}

func serverFailure(err driver.ServerError) error {
	if err.HasErrorLabel("TransientTransactionError") {
		return fmt.Errorf("MongoDB: %w", errTransient)
	}
	for _, code := range unfit {
		if err.HasErrorCode(code) {
			return fmt.Errorf("MongoDB: %w: refused with code %d", document.ErrBroken, code)
		}
	}
	name, code := "server error", 0
	var ce driver.CommandError
	var we driver.WriteException
	var many driver.BulkWriteException
	switch {
	case errors.As(err, &ce):
		name, code = ce.Name, int(ce.Code)
	case errors.As(err, &we) && we.WriteConcernError != nil:
		name, code = "write concern: "+we.WriteConcernError.Name, we.WriteConcernError.Code
	case errors.As(err, &we) && len(we.WriteErrors) > 0:
		code = we.WriteErrors[0].Code
	case errors.As(err, &many) && many.WriteConcernError != nil:
		name, code = "write concern: "+many.WriteConcernError.Name, many.WriteConcernError.Code
	case errors.As(err, &many) && len(many.WriteErrors) > 0:
		code = many.WriteErrors[0].Code
	}
	if ce.Wrapped != nil && ce.Code == 0 {
		// No server answered: the network failed under way, or the time was over. The text
		// holds addresses only. What a server answers, the driver wraps too.
		return fmt.Errorf("MongoDB: %w: %w", dberr.Unavailable, ce.Wrapped)
	}
	return fmt.Errorf("MongoDB: %w: %s (code %d)", dberr.Unavailable, name, code)
}

// duplicate tells which unique index refused, by its keys, which every server names
// that the driver talks to (MongoDB 4.4).
func duplicate(err error) error {
	keys, _ := refusedBy(err).Lookup("keyPattern").DocumentOK()
	elements, _ := keys.Elements()
	for _, e := range elements {
		switch e.Key() {
		case "ddpUsernameKey", "username":
			return dberr.DuplicateUsername
		case "ddpEmailKeys", "emails.address":
			return dberr.DuplicateEmail
		}
	}
	return dberr.Duplicate
}

// refusedBy is the server's answer about the write that it refused, or nil.
func refusedBy(err error) bson.Raw {
	var command driver.CommandError
	var write driver.WriteException
	var bulk driver.BulkWriteException
	switch {
	case errors.As(err, &command):
		return command.Raw
	case errors.As(err, &write) && len(write.WriteErrors) > 0:
		return write.WriteErrors[0].Raw
	case errors.As(err, &bulk) && len(bulk.WriteErrors) > 0:
		return bulk.WriteErrors[0].Raw
	}
	return nil
}

// newest is the collection as the primary has it now, acknowledged by a majority
// or not. It is for looks that are followed by a write on condition of what was
// seen: that write cannot outlive what it was based on, and an older view
// would only make it fail again and again.
func newest(c *driver.Collection) *driver.Collection {
	return c.Clone(options.Collection().SetReadConcern(readconcern.Local()))
}

// findRaw reads one document; dberr.NotFound when there is none.
func findRaw(ctx context.Context, c *driver.Collection, filter bson.D, opts ...options.Lister[options.FindOneOptions]) (bson.Raw, error) {
	raw, err := c.FindOne(ctx, filter, opts...).Raw()
	return raw, failure(err)
}

// ErrEnough is returned by a reader of documents that wants no more of them.
var ErrEnough = errors.New("mongo: enough documents")

// findAll reads documents in order and hands each to each.
func findAll(ctx context.Context, c *driver.Collection, filter bson.D, each func(bson.Raw) error, opts ...options.Lister[options.FindOptions]) error {
	cur, err := c.Find(ctx, filter, opts...)
	if err != nil {
		return failure(err)
	}
	defer func() { _ = cur.Close(context.WithoutCancel(ctx)) }()
	for cur.Next(ctx) {
		if err := each(cur.Current); err == ErrEnough {
			return nil
		} else if err != nil {
			return err
		}
	}
	return failure(cur.Err())
}

// matched turns the outcome of an update into whether its filter held.
func matched(res *driver.UpdateResult, err error) (bool, error) {
	if err != nil {
		return false, failure(err)
	}
	return res.MatchedCount > 0, nil
}
