//go:build !notrail

package rest_test

import "maps"

// The part of the walk over the surface that is about the trail.

func init() {
	maps.Copy(scenesOfMethods, map[string][]scene{
		"audit:list": {list(), list(object{"user": "root1", "act": "login", "text": "x", "count": 3}).named("with a filter")},
		"audit:mine": {list()},
	})
	maps.Copy(scenesOfRoutes, map[string][]scene{
		"GET audit.list":   {req(plain)},
		"GET audit.mine":   {req(plain)},
		"GET audit.export": {req(plain)},
	})
}
