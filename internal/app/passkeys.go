package app

import (
	"context"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"ddpserver/internal/passkey"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// relyingParty says for whom passkeys are made: the host of ROOT_URL, on its pages and
// those of ALLOWED_ORIGINS at or below it. It is nil, and the log tells why, where
// browsers make none. Accounts whose keys were all made for another host cannot use them
// any more, which is told loudly, with how many they are.
func (a *App) relyingParty(ctx context.Context) (*passkey.Party, error) {
	if !a.settings.Bool(settings.TwoFactorByWebAuthn) {
		a.log.Info("passkeys_switched_off", zap.String("hint", "the setting "+settings.TwoFactorByWebAuthn+" is off"))
	}
	p, left, err := passkey.NewParty(a.cfg.RootURL, a.cfg.AllowedOrigins)
	with, countErr := a.store.CountUsers(ctx, user.TraitHasPasskeys)
	if countErr != nil {
		return nil, fmt.Errorf("the accounts with passkeys cannot be counted: %w", countErr)
	}
	if err != nil {
		level := a.log.Info
		if with > 0 {
			level = a.log.Error
		}
		level("passkeys_unavailable", zap.Error(err), zap.Int("accounts", with),
			zap.String("hint", "nobody can add or use a passkey until ROOT_URL is a name over https; accounts with passkeys are asked for them all the same"))
		return nil, nil
	}
	if len(left) > 0 {
		a.log.Info("passkeys_elsewhere", zap.String("origins", strings.Join(left, " ")),
			zap.String("hint", "pages of these ALLOWED_ORIGINS cannot use passkeys: they are made for the host of ROOT_URL and what is below it, over https, and a "+
				"star in a host names none"))
	}
	if with == 0 {
		return p, nil
	}
	here, err := a.withPasskeysFor(ctx, p.ID)
	if err != nil {
		return nil, fmt.Errorf("the accounts with passkeys cannot be counted: %w", err)
	}
	if lost := with - here; lost > 0 {
		a.log.Error("passkeys_orphaned", zap.Int("accounts", lost), zap.String("host", p.ID),
			zap.String("hint", "the passkeys of these accounts were made for another host than that of ROOT_URL: their owners cannot use them here, "+
				"and log in with another factor or not at all. Set ROOT_URL back, or remove their passkeys with users:resetWebAuthn"))
		if _, err := fmt.Fprintf(a.opts.Out, "Passkeys of %d accounts were made for another host than %s and cannot be used\n", lost, p.ID); err != nil {
			return nil, fmt.Errorf("the warning about passkeys cannot be shown: %w", err)
		}
	}
	return p, nil
}

// withPasskeysFor counts the accounts that have a passkey for that host, or one of another
// program, which did not say for which. Accounts that have both are counted once.
func (a *App) withPasskeysFor(ctx context.Context, host string) (int, error) {
	known, err := a.store.CountUsers(ctx, user.PartyTrait(host))
	if err != nil {
		return 0, err
	}
	unknown, err := a.store.CountUsers(ctx, user.PartyTrait(""))
	if err != nil {
		return 0, err
	}
	_, both, err := a.store.FindUsers(ctx, user.Query{Traits: []string{user.PartyTrait(host), user.PartyTrait("")}})
	return known + unknown - both, err
}
