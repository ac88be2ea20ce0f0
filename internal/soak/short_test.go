//go:build !soak

package soak

// long chooses the long form of every run.
const long = false
