package settings

import "time"

// PublicRecord is what everybody sees of a setting.
type PublicRecord struct {
	ID               string    `json:"_id"`
	Value            any       `json:"value"`
	Enterprise       bool      `json:"enterprise"`
	RequiredOnWizard bool      `json:"requiredOnWizard"`
	UpdatedAt        time.Time `json:"_updatedAt"`
}

// Record is a setting's document in Rocket.Chat's shape, secrets masked.
type Record struct {
	ID           string   `json:"_id"`
	Value        any      `json:"value"`
	PackageValue any      `json:"packageValue"`
	Type         Type     `json:"type"`
	Values       []Choice `json:"values,omitempty"`
	Group        string   `json:"group"`
	Section      string   `json:"section,omitempty"`
	Public       bool     `json:"public"`
	Secret       bool     `json:"secret"`
	Hidden       bool     `json:"hidden"`
	Blocked      bool     `json:"blocked"`
	Multiline    bool     `json:"multiline"`
	// MinValue and MaxValue bound an Int, MaxLength a Text in bytes. Description is a
	// sentence about what a change does, and Guards asks for a fresh factor.
	MinValue        *int      `json:"minValue,omitempty"`
	MaxValue        *int      `json:"maxValue,omitempty"`
	MaxLength       int       `json:"maxLength,omitempty"`
	Guards          bool      `json:"guards"`
	Description     string    `json:"description"`
	ValueSource     string    `json:"valueSource"`
	ProcessEnvValue any       `json:"processEnvValue,omitempty"`
	I18nLabel       string    `json:"i18nLabel"`
	I18nDescription string    `json:"i18nDescription"`
	Enterprise      bool      `json:"enterprise"`
	UpdatedAt       time.Time `json:"_updatedAt"`
}

// Choice is one value of a Select.
type Choice struct {
	Key       string `json:"key"`
	I18nLabel string `json:"i18nLabel"`
}

// PublicRecord is what everybody sees of a public setting.
func (s *Setting) PublicRecord() PublicRecord {
	return PublicRecord{ID: s.ID, Value: s.Shown(), UpdatedAt: s.UpdatedAt}
}

// Record is what administrators see. Forced values are blocked: they can only
// be changed where they were set.
func (s *Setting) Record() Record {
	r := Record{
		ID: s.ID, Value: s.Shown(), PackageValue: s.Default, Type: s.Type, Group: s.Group, Section: s.Section,
		Public: s.Public, Secret: s.Secret, Blocked: s.Forced, Multiline: s.Lines, ValueSource: "packageValue",
		I18nLabel: s.ID, I18nDescription: s.ID + "_Description", UpdatedAt: s.UpdatedAt, Guards: s.Guards(), Description: Sentence(s.ID),
	}
	switch s.Type {
	case Int:
		r.MinValue, r.MaxValue = &s.Min, &s.Max
	case Text:
		r.MaxLength = s.maxLen()
	}
	for _, v := range s.Values {
		r.Values = append(r.Values, Choice{Key: v, I18nLabel: v})
	}
	switch {
	case s.Forced:
		r.ValueSource, r.ProcessEnvValue = "processEnvValue", s.Shown()
	case s.Stored:
		r.ValueSource = "customValue"
	}
	return r
}

// ChangeRecord is the record of the events public-settings-changed and
// private-settings-changed (docs/wire/rocketchat.md 4.1).
type ChangeRecord struct {
	ID               string     `json:"_id"`
	Value            any        `json:"value"`
	Properties       Properties `json:"properties"`
	Enterprise       bool       `json:"enterprise"`
	RequiredOnWizard bool       `json:"requiredOnWizard"`
}

// Properties are the traits of a setting that Rocket.Chat sends with a change.
type Properties struct {
	Type   Type `json:"type"`
	Public bool `json:"public"`
}

// ChangeRecord is the setting as a change event shows it.
func (s *Setting) ChangeRecord() ChangeRecord {
	return ChangeRecord{ID: s.ID, Value: s.Shown(), Properties: Properties{Type: s.Type, Public: s.Public}}
}
