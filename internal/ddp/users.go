package ddp

import (
	"slices"
	"sync"

	"ddpserver/internal/rpc"
)

// Registry finds the connected sessions of users. It is made before the server
// whose sessions it keeps, because parts of that server's Handler need it.
type Registry struct {
	mu    sync.Mutex // taken after Server.mu, before Session.mu
	users map[string][]*Session
	moves uint64
}

// NewRegistry makes an empty Registry.
func NewRegistry() *Registry { return &Registry{users: make(map[string][]*Session)} }

// Sessions calls visit for the connected sessions of a user ("" for those that
// are not logged in) until it returns false. Sessions may end meanwhile.
func (r *Registry) Sessions(userID string, visit func(*Session) bool) {
	for _, se := range r.of(userID) {
		if !visit(se) {
			return
		}
	}
}

// Tokens tells which login tokens of a user have a session, by their stored hashes.
func (r *Registry) Tokens(userID string) map[string]bool {
	tokens := map[string]bool{}
	for _, se := range r.of(userID) {
		tokens[se.Login().Token] = true
	}
	return tokens
}

// CloseTokens closes the sessions of a user whose login token is dead: close 1000.
// Calls that run there are answered first, for one of them may have ended the
// token, and its client would send it again if it had no result. Nothing else is
// sent to such a session, and nothing new begins in it. The function gets the
// stored hash of the token.
func (r *Registry) CloseTokens(userID string, dead func(tokenHash string) bool) {
	for _, se := range r.of(userID) {
		if l := se.current(); l.UserID == userID && dead(l.Token) {
			se.leaveLogin(l)
		}
	}
}

// Numbers are how many sessions there are by the door they came through, how many of
// them are logged in, and how many users they are. It looks at every session.
func (r *Registry) Numbers() (doors map[rpc.Door]int, loggedIn, users int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	doors = map[rpc.Door]int{}
	for id, list := range r.users {
		for _, se := range list {
			doors[se.Peer().Door]++
		}
		if id != "" {
			loggedIn, users = loggedIn+len(list), users+1
		}
	}
	return doors, loggedIn, users
}

// Moves counts how often the session of a login began, ended or became one of another
// login: as long as it is the same, so is everything that Tokens tells.
func (r *Registry) Moves() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.moves
}

// moved notes that a session which stays with its user has another login token.
func (r *Registry) moved() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moves++
}

func (r *Registry) of(user string) []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.users[user])
}

func (r *Registry) count(user string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.users[user])
}

func (r *Registry) put(se *Session, user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if user != "" {
		r.moves++
	}
	r.users[user] = append(r.users[user], se)
	se.place = len(r.users[user]) - 1
}

// forget takes a session out of a user's list.
func (r *Registry) forget(se *Session, user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.users[user]
	last := len(list) - 1
	if se.place > last || list[se.place] != se {
		return
	}
	if user != "" {
		r.moves++
	}
	list[se.place] = list[last]
	list[se.place].place = se.place
	list[last] = nil
	if last == 0 {
		delete(r.users, user)
		return
	}
	r.users[user] = list[:last]
}
