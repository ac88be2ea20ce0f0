package accounts

import (
	"context"

	"go.uber.org/zap"

	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// granted tells every administrator that there is one more, whichever way it came
// to be: made as one, given the role, or activated again. The change is made
// already, so what cannot be told is only logged. by is nil for the operator of
// the machine. The new one is told with the rest, unless there is nobody else: the
// first administrator of a server needs no warning.
func (s *Service) granted(ctx context.Context, p *rpc.Peer, by, before, after *user.User) {
	if before.Administers() || !after.Administers() {
		return
	}
	who, giver := "", "the operator of the server, on its command line"
	if by != nil {
		who, giver = by.ID, by.Username
	}
	s.record(p, "admin_granted", who, nil, target(after.ID))
	ctx = context.WithoutCancel(ctx)
	all, err := s.store.Administrators(ctx)
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
