package mongotest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"go.mongodb.org/mongo-driver/bson"
)

// Opcodes and flags of the wire protocol.
const (
	opReply = 1
	opQuery = 2004 // only for the first handshake
	opMsg   = 2013

	flagChecksum   = 1
	flagMoreToCome = 2

	maxMessage = 48_000_000
)

// request is one command as it came in.
type request struct {
	id      int32
	query   bool // an OP_QUERY, answered by OP_REPLY
	noReply bool
	doc     bson.D
	peer    *peer
	raw     []byte // the command document; document sequences are not in it
}

// peer is where a request came from.
type peer struct {
	conn   net.Conn
	reader *bufio.Reader
}

func readMessage(r io.Reader) (*request, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int(binary.LittleEndian.Uint32(head[0:]))
	if size < len(head) || size > maxMessage {
		return nil, fmt.Errorf("message of %d bytes", size)
	}
	body := make([]byte, size-len(head))
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	req := &request{id: int32(binary.LittleEndian.Uint32(head[4:]))}
	switch op := binary.LittleEndian.Uint32(head[12:]); op {
	case opMsg:
		return req, req.readMsg(body)
	case opQuery:
		req.query = true
		return req, req.readQuery(body)
	default:
		return nil, fmt.Errorf("opcode %d", op)
	}
}

var errShort = errors.New("message cut short")

func (q *request) readQuery(b []byte) error {
	if len(b) < 4 {
		return errShort
	}
	b = b[4:] // flags
	for i, c := range b {
		if c == 0 {
			if b = b[i+1:]; len(b) < 8 {
				return errShort
			}
			return q.setBody(b[8:]) // after skip and return counts
		}
	}
	return errShort
}

func (q *request) readMsg(b []byte) error {
	if len(b) < 4 {
		return errShort
	}
	flags := binary.LittleEndian.Uint32(b)
	b = b[4:]
	if flags&flagChecksum != 0 {
		if len(b) < 4 {
			return errShort
		}
		b = b[:len(b)-4]
	}
	q.noReply = flags&flagMoreToCome != 0
	var sequences bson.D
	for len(b) > 0 {
		kind := b[0]
		b = b[1:]
		size, err := length(b)
		if err != nil {
			return err
		}
		switch kind {
		case 0:
			if err := q.setBody(b[:size]); err != nil {
				return err
			}
		case 1:
			e, err := sequence(b[4:size])
			if err != nil {
				return err
			}
			sequences = append(sequences, e)
		default:
			return fmt.Errorf("section of kind %d", kind)
		}
		b = b[size:]
	}
	if len(q.doc) == 0 {
		return errors.New("message without a command")
	}
	q.doc = append(q.doc, sequences...)
	return nil
}

// sequence reads a section of kind 1: a name and documents one after another.
func sequence(b []byte) (bson.E, error) {
	var e bson.E
	for i, c := range b {
		if c == 0 {
			e.Key, b = string(b[:i]), b[i+1:]
			break
		}
	}
	docs := bson.A{}
	for len(b) > 0 {
		size, err := length(b)
		if err != nil {
			return e, err
		}
		var d bson.D
		if err := bson.Unmarshal(b[:size], &d); err != nil {
			return e, err
		}
		docs, b = append(docs, d), b[size:]
	}
	e.Value = docs
	return e, nil
}

func (q *request) setBody(b []byte) error {
	q.raw = b
	return bson.Unmarshal(b, &q.doc)
}

// length reads the size in front of a document or section.
func length(b []byte) (int, error) {
	if len(b) < 4 {
		return 0, errShort
	}
	size := int(binary.LittleEndian.Uint32(b))
	if size < 5 || size > len(b) {
		return 0, errShort
	}
	return size, nil
}

func writeMessage(w io.Writer, q *request, answer bson.D) error {
	doc, err := bson.Marshal(answer)
	if err != nil {
		return err
	}
	msg := make([]byte, 16, 64+len(doc))
	if q.query {
		msg = append(msg, make([]byte, 16)...) // flags, cursor, from
		msg = binary.LittleEndian.AppendUint32(msg, 1)
	} else {
		msg = append(msg, 0, 0, 0, 0, 0) // flags, kind of the section
	}
	msg = append(msg, doc...)
	op := uint32(opMsg)
	if q.query {
		op = opReply
	}
	binary.LittleEndian.PutUint32(msg[0:], uint32(len(msg)))
	binary.LittleEndian.PutUint32(msg[8:], uint32(q.id))
	binary.LittleEndian.PutUint32(msg[12:], op)
	_, err = w.Write(msg)
	return err
}
