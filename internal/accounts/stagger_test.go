package accounts_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/store"
	"ddpserver/internal/user"
)

// looking counts look-ups of accounts by address.
type looking struct {
	store.Store
	n atomic.Int64
}

func (l *looking) UserByEmail(ctx context.Context, key string) (*user.User, error) {
	l.n.Add(1)
	return l.Store.UserByEmail(ctx, key)
}

// A18: when a stranger has his answer, nothing of what it caused has begun,
// whether or not there is such an account: there is no work to measure.
func TestA18WorkBeginsAfterTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add("ada", "ada@x.com")
		w.mailed()
		looks := &looking{Store: w.store}
		svc := w.node(looks, func(o *accounts.Options) { o.Stagger = 100 * time.Millisecond })
		for _, address := range []string{"ada@x.com", "nobody@x.com"} {
			for _, ask := range []func() error{
				func() error { return svc.ForgotPassword(t.Context(), w.peer, address) },
				func() error { return svc.SendConfirmation(t.Context(), w.peer, nil, address) },
			} {
				looks.n.Store(0)
				if err := ask(); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // all that can run has run
				if looks.n.Load() != 0 {
					t.Errorf("%s: %d looks before or beside the answer", address, looks.n.Load())
				}
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				if looks.n.Load() == 0 {
					t.Errorf("%s: the work was never done", address)
				}
			}
		}
	})
}
