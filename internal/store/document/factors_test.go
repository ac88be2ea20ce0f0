package document_test

import (
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// publicKey is one on P-256 in COSE.
var publicKey = slices.Concat([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, make([]byte, 32), []byte{0x22, 0x58, 32}, make([]byte, 32))

// What is stored of second factors, and the fingerprints of their state that wait in
// documents, are those of version 1, to the byte: a factor that is added, or a field that
// moves in the source, must not void what was begun before an upgrade.
func TestStoredFactorsStayAsTheyAre(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const others = `{"password": {"bcrypt": "$2b$"},"resume": {"loginTokens": [{"hashedToken": "h"}]}`
	for name, c := range map[string]struct {
		change               func(s *user.Services)
		stored, state, proof string
	}{
		"none": {
			func(*user.Services) {},
			`}`,
			"false false ", "c08ddb6c7ce4b6e426a6a403b992b45ff624f51a67b861ca42e2786c5cafbc9e",
		},
		"mail": {
			user.SetEmail2FA(user.Email2FA{Enabled: true, ChangedAt: at}),
			`,"email2fa": {"enabled": true,"changedAt": {"$date":{"$numberLong":"1767323045000"}}}}`,
			"false true 1767323045000", "6472279b1d40eff90c8227577767264f31f3e4567539b47979279e21b76909f4",
		},
		"mail, adopted": {
			user.SetEmail2FA(user.Email2FA{Enabled: true}),
			`,"email2fa": {"enabled": true}}`,
			"false true ", "98b1b73eaad6b3e7e91a2f2cf29ee565be1a3d4988088909bb7adb55cc01f2e4",
		},
		"mail, off again": {
			user.SetEmail2FA(user.Email2FA{ChangedAt: at}),
			`,"email2fa": {"enabled": false,"changedAt": {"$date":{"$numberLong":"1767323045000"}}}}`,
			"false false 1767323045000", "109385721716ca31ae7d60b247eab5e0adc42bf108c62572a266e1e7d5fb8912",
		},
		"app": {
			func(s *user.Services) {
				s.TOTP = &user.TOTP{Enabled: true, Secret: "v1.s", LastStep: 7, HashedBackup: []string{"b"}, BackupSalt: "salt"}
			},
			`,"totp": {"enabled": true,"secret": "v1.s","lastStep": {"$numberLong":"7"},"hashedBackup": ["b"],"backupSalt": "salt"}}`,
			"true false ", "167af352c330dbff22d731c0f8896045194f4622ba13af5e95bccbd1fd4e92cf",
		},
		"app, being set up": {
			func(s *user.Services) {
				s.TOTP = &user.TOTP{TempSecret: "v1.t", TempAt: at, TempTries: 1, TempBound: "bound"}
			},
			`,"totp": {"enabled": false,"tempSecret": "v1.t","tempAt": {"$date":{"$numberLong":"1767323045000"}},"tempTries": {"$numberInt":"1"},"tempBound": "bound"}}`,
			"false false ", "c08ddb6c7ce4b6e426a6a403b992b45ff624f51a67b861ca42e2786c5cafbc9e",
		},
		"passkey": {
			user.AddPasskey(user.Passkey{ID: "k", PublicKey: publicKey, Counter: 2, Transports: []string{"usb"}, DeviceType: user.SingleDevice, AAGUID: "a",
				Format: "none", UserVerified: true, Name: "n", CreatedAt: at, LastUsedAt: at, RPID: "example.com"}, "h", at),
			`,"webauthn": {"userHandle": "h","secondFactorEnabled": true,"credentials": [{"id": "k","publicKey": {"$binary":{"base64":"` + base64.StdEncoding.EncodeToString(publicKey) + `","subType":"00"}},` +
				`"counter": {"$numberLong":"2"},"transports": ["usb"],"deviceType": "singleDevice","backedUp": false,"aaguid": "a","fmt": "none","userVerified": true,` +
				`"name": "n","createdAt": {"$date":{"$numberLong":"1767323045000"}},"lastUsedAt": {"$date":{"$numberLong":"1767323045000"}},"rpId": "example.com"}],` +
				`"changedAt": {"$date":{"$numberLong":"1767323045000"}}}}`,
			"false false true 1767323045000", "9ac7e3b114aadf35e29bdc79e5b651609be01a5e593becb3c9468c8c4c630a2c",
		},
		"passkeys that are to be removed": {
			func(s *user.Services) {
				s.WebAuthn = &user.WebAuthn{Handle: "h", Keys: []user.Passkey{{ID: "k", PublicKey: publicKey}},
					PendingReset: user.PendingReset{ResetDue: at, ResetBy: "root"}}
			},
			`,"webauthn": {"userHandle": "h","secondFactorEnabled": false,"credentials": [{"id": "k","publicKey": {"$binary":{"base64":"` +
				base64.StdEncoding.EncodeToString(publicKey) + `","subType":"00"}},"counter": {"$numberLong":"0"},"backedUp": false,"userVerified": false}],` +
				`"resetDue": {"$date":{"$numberLong":"1767323045000"}},"resetBy": "root"}}`,
			"false false false ", "",
		},
		"both, among others": {
			func(s *user.Services) {
				s.Email2FA = &user.Email2FA{Enabled: true, ChangedAt: at}
				s.TOTP = &user.TOTP{Enabled: true, Secret: "v1.s", PendingReset: user.PendingReset{ResetDue: at, ResetBy: "root"}}
				s.Email = &user.Proofs{Pending: &user.PendingEmail{Address: "new@example.com", When: at, Factors: "true true "}}
				s.Other = map[string]any{"github": "77"}
			},
			`,"email": {"pending": {"address": "new@example.com","when": {"$date":{"$numberLong":"1767323045000"}},"factors": "true true "}}` +
				`,"email2fa": {"enabled": true,"changedAt": {"$date":{"$numberLong":"1767323045000"}}}` +
				`,"totp": {"enabled": true,"secret": "v1.s","resetDue": {"$date":{"$numberLong":"1767323045000"}},"resetBy": "root"}` +
				`,"github": "77"}`,
			"true true 1767323045000", "e3c5ac90502aada908c40189cdc4ec10b52b3c40d2bcaeaee6e956d4a14b48a8",
		},
	} {
		u := &user.User{ID: "ada", Emails: []user.Email{{Address: "ada@example.com", Verified: true}}}
		u.Services.Password = &user.Password{Bcrypt: "$2b$"}
		u.Services.Resume = &user.Resume{LoginTokens: []user.LoginToken{{HashedToken: "h"}}}
		c.change(&u.Services)
		raw, err := document.Encode(u.Services)
		if err != nil {
			t.Fatal(err)
		}
		if stored := others + c.stored; raw.String() != stored || u.FactorState() != c.state || c.proof != "" && u.ProofState("h") != c.proof {
			t.Errorf("%s: %s, %q, %q", name, raw, u.FactorState(), u.ProofState("h"))
		}
		var again user.Services
		if err := document.Decode(raw, &again); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if same, err := bson.Marshal(again); err != nil || string(same) != string(raw) {
			t.Errorf("%s: read and written it is %v, %v", name, bson.Raw(same), err)
		}
	}
}
