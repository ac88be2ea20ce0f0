package twofactor

// What happens to the authenticator app.
var (
	TOTPEnabled = Change{Name: "totp-enabled", Factor: TOTP, Act: "factor_enabled",
		Subject: "Two-factor authentication was switched on",
		Text: "An authenticator app is now a second factor of your account. Your other sessions were closed." +
			"\nIf codes by e-mail are on as well, think of switching them off: " +
			"who reads your mailbox and knows your password can log in with them, and the app would not be asked."}
	TOTPDisabled = Change{Name: "totp-disabled", Factor: TOTP, Act: "factor_disabled",
		Subject: "Two-factor authentication was switched off",
		Text:    "The authenticator app and its backup codes are no longer a second factor of your account. Your other sessions were closed."}
	// TOTPReset: by an administrator, or by the owner without a code.
	TOTPReset = Change{Name: "totp-reset", Factor: TOTP, Act: "factor_reset",
		Ends:    true,
		Subject: "Your TOTP has been reset",
		Text: "The authenticator app and its backup codes are removed from your account, and all its sessions and tokens are closed. " +
			"Log in again and set two-factor authentication up anew."}
	// TOTPResetPending: an administrator asked for a reset that takes effect later.
	TOTPResetPending = Change{Name: "totp-reset-pending", Factor: TOTP, Act: "factor_reset_pending",
		Ends:    true,
		Subject: "Your authenticator app is going to be removed",
		Text: "The administrator {by} asked to remove the authenticator app and its backup codes from your account. " +
			"It takes effect at {due}; until then nothing changes." +
			"\nIf you have lost the app and its backup codes, wait until then: all your sessions and tokens are closed, and you log in without the app." +
			"\nIf you still have them, stop it: log in, or do anything that asks for a code, and give a code of the app or a backup code. " +
			"If you did not ask for this, tell whoever runs the server."}
	// TOTPResetStopped: the owner showed that the app is not lost.
	TOTPResetStopped = Change{Name: "totp-reset-stopped", Factor: TOTP, Act: "factor_reset_stopped",
		Subject: "Your authenticator app stays",
		Text: "The removal of the authenticator app from your account, which an administrator had asked for, was stopped by its owner's proof. " +
			"If that was not you, somebody else has your app, a backup code or your password: ask an administrator for help."}
	// TOTPResetVoid: whoever asked for it is no administrator any more.
	TOTPResetVoid = Change{Name: "totp-reset-void", Factor: TOTP, Act: "factor_reset_void",
		Subject: "Your authenticator app stays",
		Text: "The removal of the authenticator app from your account is void: whoever asked for it is no administrator any more. " +
			"If you have lost the app and its backup codes, ask another administrator."}
)
