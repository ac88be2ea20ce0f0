// Package md parses the text of a message into the tree that clients draw, in
// the shape of Rocket.Chat's message parser: paragraphs, line breaks, code
// blocks, plain text, bold, italic, strike, inline code, links, user and
// channel mentions, and emoji short codes.
//
// Everything else stays plain text: headings, quotes, lists, images, formulas,
// colours, bare domain names, Unicode emoji. Parsing takes time linear in the
// text, the tree is at most MaxDepth levels deep and has MaxMarks marks, and no
// link has a scheme other than http, https, mailto or tel. The package looks
// nothing up: whether a mentioned user exists is not its question.
package md

// Kind is the "type" of a node.
type Kind string

// The kinds of nodes.
const (
	Paragraph      Kind = "PARAGRAPH"
	LineBreak      Kind = "LINE_BREAK"
	Code           Kind = "CODE"
	BigEmoji       Kind = "BIG_EMOJI"
	Plain          Kind = "PLAIN_TEXT"
	Bold           Kind = "BOLD"
	Italic         Kind = "ITALIC"
	Strike         Kind = "STRIKE"
	InlineCode     Kind = "INLINE_CODE"
	Link           Kind = "LINK"
	MentionUser    Kind = "MENTION_USER"
	MentionChannel Kind = "MENTION_CHANNEL"
	Emoji          Kind = "EMOJI"

	// delimiter is a run of '*', '_' or '~' whose meaning is not decided yet;
	// it never leaves the parser.
	delimiter Kind = ""
)

// MaxMarks is the number of marks (anything but plain text and paragraphs)
// after which the rest of a text is taken as plain: a message of one-letter
// marks would otherwise grow thirtyfold on its way to every reader.
const MaxMarks = 1000

// MaxDepth is the deepest a tree can be: a paragraph, the three emphases, a
// link, the three emphases in its label, and the text.
const MaxDepth = 9

// Node is one node of the tree.
type Node struct {
	Kind Kind
	// Text is the text of a leaf: the plain text, code, name, short code
	// without colons, or the address of a link. For Code it is the language.
	Text string
	// Kids are what a container holds: inline nodes of a paragraph, of bold,
	// italic, strike and of a link's label; lines (as Plain) of a Code.
	Kids []Node
}

// Document is a parsed text.
type Document []Node

// Walk calls f for every inline node, depth first, in the order of the text.
func (d Document) Walk(f func(*Node)) { walk(d, f) }

func walk(nodes []Node, f func(*Node)) {
	for i := range nodes {
		n := &nodes[i]
		f(n)
		if n.Kind != Code {
			walk(n.Kids, f)
		}
	}
}

// Texts lists the distinct texts of nodes of a kind, in order of appearance,
// at most max of them.
func (d Document) Texts(kind Kind, max int) []string {
	var out []string
	seen := map[string]bool{}
	d.Walk(func(n *Node) {
		if n.Kind == kind && len(out) < max && !seen[n.Text] {
			seen[n.Text] = true
			out = append(out, n.Text)
		}
	})
	return out
}
