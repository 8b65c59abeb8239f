package callback

import (
	"maps"
	"slices"
)

// Words are all that can be recorded as a provider's word.
func Words() []string {
	return append(slices.Collect(maps.Keys(known)), append(slices.Collect(maps.Keys(results)), "other")...)
}
