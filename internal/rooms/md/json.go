package md

import "ddpserver/internal/ejson"

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
		dst = appendPlain(append(dst, `,"value":`...), n.Text)
		dst = ejson.AppendString(append(dst, `,"shortCode":`...), n.Text)
	case Link:
		dst = appendPlain(append(dst, `,"value":{"src":`...), n.Text)
		dst = appendNodes(append(dst, `,"label":`...), n.Kids)
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
	default:
		dst = appendNodes(append(dst, `,"value":`...), n.Kids)
	}
	return append(dst, '}')
}

func appendPlain(dst []byte, s string) []byte {
	dst = append(dst, `{"type":"PLAIN_TEXT","value":`...)
	return append(ejson.AppendString(dst, s), '}')
}
