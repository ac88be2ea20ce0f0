package sqlite

import (
	"sync"
	"time"

	"ddpserver/internal/user"
)

// userCache keeps decoded accounts, because every call of somebody who is
// logged in reads one. It is never wrong, for three reasons:
//
//   - One server owns the directory (Options.Server takes the lock), and other
//     processes only add accounts (see Tx.touch); what is not there is not cached.
//   - A transaction takes the accounts it touched out of the cache before it
//     commits. Between then and the end of its commit nothing is put in, so
//     whoever looks meanwhile asks the database.
//   - What a reader found is put in only if no commit ended, or was under way,
//     since before it asked (the ticket).
//
// What an operator changes with other tools is seen within entryAge: an account
// is not believed longer than that.
//
// It is no library's cache (docs/dependencies.md, golang-lru) because an account is
// found under several keys, which come and go with it, and is put in by ticket.
//
// Its accounts are never changed; callers get copies. It holds two generations:
// when the young one is full or old, it becomes the old one, and what nobody
// asked for since is dropped.
type userCache struct {
	mu         sync.Mutex
	young, old generation
	born       time.Time // of the young generation
	committing bool
	commits    uint64
}

// generation holds accounts by id and by the hashes of their login tokens.
type generation struct {
	byID    map[string]*entry
	byToken map[string]*entry
}

// entry is an account and when it was read.
type entry struct {
	*user.User
	at time.Time
}

const (
	// generationSize is how many accounts a generation holds, each of about 1 KiB.
	generationSize = 8192
	// generationAge is after what time an account that nobody asked for is on its way out.
	generationAge = 2 * time.Minute
	// entryAge is how long an account may be handed out before it is read again.
	entryAge = 20 * time.Second
)

func newGeneration() generation {
	return generation{byID: map[string]*entry{}, byToken: map[string]*entry{}}
}

func (g *generation) add(u *entry) {
	g.byID[u.ID] = u
	if r := u.Services.Resume; r != nil {
		for i := range r.LoginTokens {
			if hash := r.LoginTokens[i].HashedToken; hash != "" {
				g.byToken[hash] = u
			}
		}
	}
}

func (g *generation) remove(id string) {
	u := g.byID[id]
	if u == nil {
		return
	}
	delete(g.byID, id)
	if r := u.Services.Resume; r != nil {
		for i := range r.LoginTokens {
			delete(g.byToken, r.LoginTokens[i].HashedToken)
		}
	}
}

// get finds an account by its id; nil when it is not here. ticket is for put.
func (c *userCache) get(id string, now time.Time) (u *user.User, ticket uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.found(c.young.byID[id], c.old.byID[id], now), c.commits
}

// getToken finds an account by the hash of a login token.
func (c *userCache) getToken(hash string, now time.Time) (u *user.User, ticket uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.found(c.young.byToken[hash], c.old.byToken[hash], now), c.commits
}

// found is what either generation has, unless it was read too long ago. An
// account that is asked for moves into the young generation.
func (c *userCache) found(young, old *entry, now time.Time) *user.User {
	e := young
	if e == nil {
		e = old
	}
	if e == nil || now.Sub(e.at) > entryAge {
		return nil
	}
	if young == nil {
		c.old.remove(e.ID)
		c.add(e, now)
	}
	return e.User
}

func (c *userCache) add(u *entry, now time.Time) {
	if c.young.byID == nil || len(c.young.byID) >= generationSize || now.Sub(c.born) > generationAge {
		c.old, c.young, c.born = c.young, newGeneration(), now
	}
	c.young.remove(u.ID) // its tokens may be others
	c.young.add(u)
}

// put remembers what a reader found. The account must not be changed afterwards.
func (c *userCache) put(u *user.User, ticket uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.committing && ticket == c.commits {
		c.add(&entry{User: u, at: now}, now)
	}
}

// begin forgets the accounts that a transaction changed; it is called before
// the commit, and end after it, whatever became of it.
func (c *userCache) begin(ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.committing = true
	c.commits++
	for _, id := range ids {
		c.young.remove(id)
		c.old.remove(id)
	}
}

func (c *userCache) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.committing = false
	c.commits++
}
