package settings

import (
	"errors"
	"fmt"
)

// Initial returns the table with other defaults: lookup is asked for each id,
// as Rocket.Chat asks the environment, and a text it knows becomes the value
// that the setting has until somebody saves another. The error lists every text
// that does not fit its setting; the others are in the table all the same.
func Initial(table []Definition, lookup func(id string) (string, bool)) ([]Definition, error) {
	var bad []error
	for i := range table {
		text, ok := lookup(table[i].ID)
		if !ok {
			continue
		}
		v, err := table[i].parse(text)
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", table[i].ID, err))
			continue
		}
		table[i].Default = v
	}
	return table, errors.Join(bad...)
}
