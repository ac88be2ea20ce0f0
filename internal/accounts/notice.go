package accounts

import (
	"context"
	"slices"
	"strings"
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
func noticeTo(u *user.User) []user.Email {
	if to := provedOf(u); len(to) > 0 {
		return to
	}
	return slices.Clone(u.Emails)
}

// provedOf are the verified addresses.
func provedOf(u *user.User) []user.Email {
	return slices.DeleteFunc(slices.Clone(u.Emails), func(e user.Email) bool { return !e.Verified })
}

// notice tells the owner of a change, at the addresses the account has and had
// (also). The change is made already, so a mail that cannot be stored is only
// logged. No secret ever stands in a notice. text is the server's words; about are
// sentences with words that people wrote, which go to proved addresses only.
func (s *Service) notice(ctx context.Context, p *rpc.Peer, u *user.User, also []user.Email, subject, text string, about ...string) {
	now, seen := s.time(), []string{}
	// The caller may hang up now; the owner should hear of it all the same.
	ctx = context.WithoutCancel(ctx)
	for _, proved := range []bool{true, false} {
		var to []string
		for _, e := range append(noticeTo(u), also...) {
			if e.Verified == proved && ValidEmail(e.Address) && !containsFold(seen, e.Address) {
				to, seen = append(to, e.Address), append(seen, e.Address)
			}
		}
		if len(to) == 0 {
			continue
		}
		m := Message{To: to, Template: TemplateNotice, Proved: proved, Expire: now.Add(noticeLife), Data: map[string]string{
			"subject": subject, "text": text, "when": now.Format(noticeTime),
		}}
		if p != nil {
			m.Data["address"] = p.Address
		}
		if proved {
			m.Data["name"], m.Data["text"] = greeting(u), strings.Join(append([]string{text}, about...), "\n")
			if p != nil {
				m.Data["agent"] = p.UserAgent
			}
		}
		if err := s.mailer.Send(ctx, m); err != nil {
			s.log.Warn("notice_not_sent", zap.String("user_id", u.ID), zap.Error(err))
		}
	}
}

// welcome tells a new account's address that it is there. The password is whoever's who
// made the account to hand over.
func (s *Service) welcome(ctx context.Context, u *user.User) {
	s.notice(ctx, nil, u, nil, "You have an account",
		"An account with this address was made for you at "+s.root+". Log in with the address, and with the password that you get from whoever made the account.")
}

// link mails a link that carries a token. It holds nothing but the link: the address
// may be anybody's.
func (s *Service) link(ctx context.Context, template, page, to, token string, life time.Duration) error {
	return s.mailer.Send(ctx, Message{
		To: []string{to}, Template: template, Inside: isInside(ctx), Expire: s.time().Add(life),
		Data: map[string]string{"url": s.root + "/#/" + page + "/" + token},
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
