package accounts

import (
	"context"

	"go.uber.org/zap"

	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// administers tells whether an account has an administrator's rights now; a nil
// one, of an account that did not exist yet, has not.
func administers(u *user.User) bool { return u != nil && u.HasRole("admin") && u.IsActive() }

// granted tells every administrator that there is one more, whichever way it came
// to be: made as one, given the role, or activated again. The change is made
// already, so what cannot be told is only logged. by is nil for the operator of
// the machine. The new one is told with the rest, unless there is nobody else: the
// first administrator of a server needs no warning.
func (s *Service) granted(ctx context.Context, p *rpc.Peer, by, before, after *user.User) {
	if administers(before) || !administers(after) {
		return
	}
	who, giver := "", "the operator of the server, on its command line"
	if by != nil {
		who, giver = by.ID, by.Username
	}
	s.record(p, "admin_granted", who, nil, target(after.ID))
	ctx = context.WithoutCancel(ctx)
	all, err := s.administrators(ctx)
	if err != nil {
		s.log.Warn("admin_grant_not_told", zap.String("user_id", after.ID), zap.Error(err))
	}
	if len(all) < 2 {
		return
	}
	for _, u := range all {
		s.notice(ctx, p, u, nil, "There is a new administrator",
			"The account “"+after.Username+"” ("+after.ID+") is an administrator of this server now. The right was given by "+giver+
				". If that is not as it should be, take the role back, end the sessions and tokens of whoever gave it, and look at the audit stream.")
	}
}

// adminPage is how many accounts are read at a time while administrators are
// looked for: their role is given rarely, and there is no index of it.
const adminPage = 200

// administrators lists the active ones, also beside an error, those found until then.
func (s *Service) administrators(ctx context.Context) (found []*user.User, err error) {
	for offset := 0; ; offset += adminPage {
		page, total, err := s.store.ListUsers(ctx, offset, adminPage)
		if err != nil {
			return found, err
		}
		for _, u := range page {
			if administers(u) {
				found = append(found, u)
			}
		}
		if offset+len(page) >= total || len(page) == 0 {
			return found, nil
		}
	}
}
