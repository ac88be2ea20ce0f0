// Package ddptest drives a ddp.Server without sockets: an in-memory Conn pair, a
// scripted client, and a player of golden conversations. All of it works inside a
// testing/synctest bubble, where waiting costs no time.
//
// It is test code. It has no WebSocket or SockJS framing and no assertions of its
// own beyond what a conversation says.
//
// # Conversations
//
// A conversation file is a txtar archive: the comment on top says why it exists,
// each section is one conversation with fresh connections. Lines:
//
//	# text             a comment
//	connect            sends connect with version 1 and expects connected
//	C: {…}             the client sends the frame
//	S: {…}             the next frame from the server, byte for byte but for blanks
//	S: nothing 200ms   no frame for that long
//	S: close 1000      the server closes with that code
//	any order          the S: lines up to "end" may come in any order
//	end
//	wait 30s           lets time pass
//	close              the client leaves
//	do name arguments  calls a function of the Player
//	R: GET a.route     somebody asks at the door of requests, as the Player does
//	A: 200 {…}         what it was answered, as the Player renders it
//
// "C2:", "S2:", "connect2", "close2" and so on speak of a second and further
// connections, opened when first used; "R2:" and "A2:" of a second caller.
//
// In S and A lines a placeholder stands for a part of the text: <17> a document id,
// <43> a login token, <hex> hexadecimal digits, <digits> decimal digits, <date> a
// number of milliseconds, <iso> an ISO date inside quotes, <any> anything.
// <name:17> remembers what it stood for; <name>, in lines of all kinds, is what was
// remembered or what the Player's Vars say.
package ddptest
