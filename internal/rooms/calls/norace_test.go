//go:build !race

package calls_test

// raced tells that the race detector runs, under which a crowd takes ten times as long.
const raced = false
