package methods_test

import "testing"

func TestTwoFactorEmailConversations(t *testing.T)      { playFactors(t, "2fa-email.txtar") }
func TestTwoFactorTOTPConversations(t *testing.T)       { playFactors(t, "2fa-totp.txtar") }
func TestTwoFactorMeteorConversations(t *testing.T)     { playFactors(t, "2fa-meteor.txtar") }
func TestTwoFactorLoginConversations(t *testing.T)      { playFactors(t, "2fa-login.txtar") }
func TestTwoFactorWebAuthnConversations(t *testing.T)   { playFactors(t, "2fa-webauthn.txtar") }
func TestTwoFactorPrecedenceConversations(t *testing.T) { playFactors(t, "2fa-precedence.txtar") }
