package accounts

import (
	"context"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// noticeLife is how long it makes sense to deliver a notice late.
const noticeLife = 3 * 24 * time.Hour

// noticeTime is how a notice writes a moment.
const noticeTime = time.RFC1123

// noticeTo are the addresses that hear of a change: the verified ones, or all
// while none is.
func noticeTo(u *user.User) []string {
	if v := u.VerifiedEmails(); len(v) > 0 {
		return v
	}
	var all []string
	for _, e := range u.Emails {
		all = append(all, e.Address)
	}
	return all
}

// notice tells the owner of a change, at the addresses the account has and had
// (also). The change is made already, so a mail that cannot be stored is only
// logged. No secret ever stands in a notice.
func (s *Service) notice(ctx context.Context, p *rpc.Peer, u *user.User, also []string, subject, text string) {
	var to []string
	for _, a := range append(noticeTo(u), also...) {
		if ValidEmail(a) && !containsFold(to, a) {
			to = append(to, a)
		}
	}
	if len(to) == 0 {
		return
	}
	now := s.time()
	data := map[string]string{"subject": subject, "name": greeting(u), "text": text, "when": now.Format(noticeTime)}
	if p != nil {
		data["address"], data["agent"] = p.Address, p.UserAgent
	}
	// The caller may hang up now; the owner should hear of it all the same.
	ctx = context.WithoutCancel(ctx)
	if err := s.mailer.Send(ctx, Message{To: to, Template: TemplateNotice, Data: data, Expire: now.Add(noticeLife)}); err != nil {
		s.log.Warn("notice_not_sent", zap.String("user_id", u.ID), zap.Error(err))
	}
}

// link mails a link that carries a token.
func (s *Service) link(ctx context.Context, template, page, to string, u *user.User, token string, life time.Duration) error {
	return s.mailer.Send(ctx, Message{
		To: []string{to}, Template: template, Inside: isInside(ctx), Expire: s.time().Add(life),
		Data: map[string]string{"name": greeting(u), "url": s.root + "/#/" + page + "/" + token},
	})
}

// greeting is what the owner is called in mails.
func greeting(u *user.User) string {
	if u.Name != "" {
		return u.Name
	}
	if name, ok := u.Profile["name"].(string); ok {
		if name, err := cleanName(name); err == nil && name != "" {
			return name
		}
	}
	return u.Username
}
