package document

import "ddpserver/internal/user"

// unreadableSecret stands for a secret that is no text: nobody's code is right.
const unreadableSecret = "unreadable"

// AdoptFactor makes the authenticator app of a Meteor app one of ours, unless one of
// ours is on. Meteor has it on once its type is "otp"; before that it waits for its
// first code, which it never gets here. DecodeUser does it on what is read, and the
// stores before every change, so that the first change writes the document anew:
// what is switched off then does not come back. A secret that is no text is a factor
// that nobody passes, which is better than none.
func AdoptFactor(u *user.User) {
	factor, _ := Plain(u.Services.Other[user.MeteorFactor]).(map[string]any)
	secret, given := factor["secret"]
	if factor["type"] != "otp" || !given || secret == nil || secret == "" {
		return
	}
	delete(u.Services.Other, user.MeteorFactor)
	if u.TOTPEnabled() {
		return
	}
	text, ok := secret.(string)
	if !ok {
		text = unreadableSecret
	}
	u.Services.TOTP = &user.TOTP{Enabled: true, Secret: text}
}
