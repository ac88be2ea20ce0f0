package trail

import (
	"maps"
	"slices"
)

// about says which account an act is about.
type about uint8

const (
	ofActor  about = iota // whoever acts; so are acts that are not listed
	ofTarget              // the account that is the target, where there is one
	ofServer              // none
)

// Acts of this package.
const (
	// GapAct says how many events before it are missing from the copy.
	GapAct = "audit_copy_gap"
	// ExportAct says who exported events.
	ExportAct = "audit_exported"
)

// acts are those of docs/operations.md "The audit stream".
var acts = map[string]about{
	"login": ofActor, "logout": ofActor, "token_renewed": ofActor, "other_sessions_removed": ofActor, "sessions_removed": ofTarget,
	"session_ended": ofTarget, "trust_forgotten": ofTarget,

	"factor_check": ofActor, "code_sent": ofActor, "backup_code_used": ofActor, "secret_unreadable": ofActor, "recovery_ended": ofActor,
	"passkey_cloned": ofActor, "passkeys_removed": ofTarget, "passkeys_suspended": ofTarget,

	"factor_pending": ofActor, "factor_enabled": ofActor, "factor_disabled": ofActor, "factor_reset_pending": ofTarget, "factor_reset_stopped": ofTarget,
	"factor_reset_void": ofTarget, "factor_reset": ofTarget, "backup_codes_replaced": ofActor,

	"notice_sent": ofActor, "trust_cleared": ofActor, "codes_voided": ofActor, "counters_forgotten": ofActor, "resets_swept": ofServer,

	"account_created": ofTarget, "account_changed": ofTarget, "account_deleted": ofTarget, "admin_granted": ofTarget,
	"profile_changed": ofActor, "email_changed": ofActor, "email_change_requested": ofActor, "verification_requested": ofActor, "email_verified": ofActor,
	"password_changed": ofActor, "password_reset_requested": ofTarget, "password_reset": ofActor,

	"token_created": ofActor, "token_regenerated": ofActor, "token_removed": ofActor, "token_refused": ofActor,

	"hook_created": ofActor, "hook_changed": ofActor, "hook_token_replaced": ofActor, "hook_removed": ofActor,

	"setting_changed": ofServer, "audit_gap": ofServer, GapAct: ofServer, ExportAct: ofServer,
}

// Acts lists the acts that are known, in order. Another node or version may record more.
func Acts() []string { return slices.Sorted(maps.Keys(acts)) }

// Outcomes lists the outcomes there are.
func Outcomes() []string { return []string{"ok", "refused", "required", "limited", "error"} }
