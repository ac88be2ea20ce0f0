// Package natsfeed carries news between nodes over NATS: it implements
// feed.Transport with plain publish and subscribe.
//
// Each kind and key of news has a subject of its own, and several events of one
// subject travel in one message. What every node must hear is subscribed to as a whole, the rest
// by the topics that the node follows. NATS keeps nothing: a node that was cut off, or was
// too slow, is told that it missed something and reads anew what it keeps in memory.
// Within a cluster of NATS servers a new subscription spreads from server to server,
// so that an event of that moment may be missed without a word, as any news may.
//
// Messages are encrypted with a key that only nodes with the same server key have.
// Who else may use the NATS server can neither read news nor make them up; what such
// a client can do is to make nodes read anew. The package decides nothing, stores
// nothing, and knows no kinds of news.
package natsfeed
