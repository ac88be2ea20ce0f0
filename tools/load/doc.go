// Package load measures a DDP server from outside, over real sockets: calls,
// connections and logins, subscriptions, fan-out, idle connections and floods.
//
// It holds its own floor: the least that a DDP server on gorilla/websocket can
// do. Figures of shared machines move, so a server is measured in turn with the
// floor and what counts is the ratio (Compare). Server CPU for each unit of work
// comes from /proc and is the steadiest figure.
//
// The package sends traffic to loopback addresses only, is bounded in count and
// time, and is no conformance test: it reads just enough of a frame to know that
// an answer came.
package load
