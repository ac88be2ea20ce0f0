package settings_test

import (
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/settings"
	"ddpserver/internal/store/storetest"
)

// A setting guards unless its definition says in a sentence why it does not, so
// that a new one asks for a fresh factor until somebody thought about it. Which
// ones guard nothing is written down here once more: taking a setting out of the
// guards is a line in the review.
func TestA1SettingsGuardUnlessTheySayWhy(t *testing.T) {
	var free []string
	for _, d := range settings.Table() {
		if d.Guards() {
			continue
		}
		free = append(free, d.ID)
		if !strings.HasSuffix(d.Harmless, ".") || len(strings.Fields(d.Harmless)) < 5 {
			t.Errorf("%s says %q, which is no reason", d.ID, d.Harmless)
		}
	}
	slices.Sort(free)
	want := []string{
		settings.AllowInvisible, settings.DirectMaxUsers, settings.FavoriteRooms, settings.Language,
		settings.MessageAllowDeleting, settings.MessageDeleteMinutes, settings.MessageAllowEditing, settings.MessageEditMinutes, settings.MessageAllowPinning,
		settings.MessageAllowStarring, settings.GroupMentionMax, settings.MessageMaxSize, settings.MessageShowDeleted, settings.PresenceSilent,
		settings.Threads, settings.QuoteChainLimit,
		settings.SiteName, settings.UnreadCount, settings.UnreadCountDM, settings.PlainTextMail,
	}
	slices.Sort(want)
	if !slices.Equal(free, want) {
		t.Errorf("guard nothing: %v\nexpected:      %v", free, want)
	}
	if d := (settings.Definition{ID: "New_Setting"}); !d.Guards() {
		t.Error("a setting that says nothing is taken for harmless")
	}
	s, err := settings.Open(t.Context(), settings.Options{Store: storetest.OpenSQLite(t)})
	if err != nil {
		t.Fatal(err)
	}
	for id, guards := range map[string]bool{
		settings.SiteName: false, settings.FromEmail: true, settings.LimitRESTEnabled: true, settings.DefaultRoles: true, settings.RegistrationForm: true,
		settings.AllowDeleteOwnAccount: true, settings.LimitRegisterUser: true, "Nobody_Knows_It": true, "": true,
	} {
		if s.Guards(id) != guards {
			t.Errorf("%q guards: %v", id, !guards)
		}
	}
}
