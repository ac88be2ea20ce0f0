package md

import (
	"math"
	"strconv"

	"ddpserver/internal/ejson"
)

// AppendJSON appends the tree as clients expect it, an array of blocks. The
// text is valid JSON whatever the message held; bytes that are not UTF-8
// become U+FFFD.
func (d Document) AppendJSON(dst []byte) []byte { return appendNodes(dst, d) }

func appendNodes(dst []byte, nodes []Node) []byte {
	dst = append(dst, '[')
	for i := range nodes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendNode(dst, &nodes[i])
	}
	return append(dst, ']')
}

func appendNode(dst []byte, n *Node) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, n.Kind...)
	dst = append(dst, '"')
	switch n.Kind {
	case LineBreak:
	case Plain:
		dst = ejson.AppendString(append(dst, `,"value":`...), n.Text)
	case InlineCode, MentionUser, MentionChannel:
		dst = appendPlain(append(dst, `,"value":`...), n.Text)
	case Emoji:
		if n.Mark == unicodeEmoji {
			dst = ejson.AppendString(append(dst, `,"unicode":`...), n.Text)
			break
		}
		dst = appendPlain(append(dst, `,"value":`...), n.Text)
		dst = ejson.AppendString(append(dst, `,"shortCode":`...), n.Text)
	case Link, Image:
		dst = appendPlain(append(dst, `,"value":{"src":`...), n.Text)
		dst = append(dst, `,"label":`...)
		if n.Kind == Image {
			dst = appendPlain(dst, n.Kids[0].Text)
		} else {
			dst = appendNodes(dst, n.Kids)
		}
		dst = append(dst, '}')
	case Code:
		dst = ejson.AppendString(append(dst, `,"language":`...), n.Text)
		dst = append(dst, `,"value":[`...)
		for i := range n.Kids {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"type":"CODE_LINE","value":`...)
			dst = append(appendPlain(dst, n.Kids[i].Text), '}')
		}
		dst = append(dst, ']')
	case Heading:
		dst = strconv.AppendInt(append(dst, `,"level":`...), int64(n.Number), 10)
		dst = appendNodes(append(dst, `,"value":`...), n.Kids)
	case Task:
		dst = strconv.AppendBool(append(dst, `,"status":`...), n.Number == 1)
		dst = appendNodes(append(dst, `,"value":`...), n.Kids)
	case ListItem:
		dst = appendNodes(append(dst, `,"value":`...), n.Kids)
		if n.Mark != "" {
			dst = appendNumber(append(dst, `,"number":`...), n.Mark)
		}
	case Timestamp:
		dst = ejson.AppendString(append(dst, `,"value":{"timestamp":`...), n.Text)
		dst = ejson.AppendString(append(dst, `,"format":`...), n.Mark)
		dst = appendPlain(append(dst, `},"fallback":`...), "<t:"+n.Text+":"+n.Mark+">")
	default:
		dst = appendNodes(append(dst, `,"value":`...), n.Kids)
	}
	return append(dst, '}')
}

// appendNumber appends digits as the number that JavaScript makes of them.
func appendNumber(dst []byte, s string) []byte {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if f < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'e', -1, 64)
}

func appendPlain(dst []byte, s string) []byte {
	dst = append(dst, `{"type":"PLAIN_TEXT","value":`...)
	return append(ejson.AppendString(dst, s), '}')
}
