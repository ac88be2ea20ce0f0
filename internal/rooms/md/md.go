// Package md parses the text of a message into the tree that clients draw: the
// tree that Rocket.Chat's published parser (@rocket.chat/message-parser) makes of
// the same text when it is given no options. Its oddities are kept, because clients
// show what they know: a mention takes the full stop behind it along, and an address
// behind a bracket is text. clients/test/markdown.test.mjs compares the two.
//
// The differences are on purpose. No link leads to another scheme than http, https,
// mailto or tel; what would is text. Nothing of a text is lost. The tree
// has MaxMarks marks and is at most MaxDepth levels deep, and the work is in proportion
// to the text: marks that are opened again and again and never closed are text from
// some point on.
//
// Formulas, colours and emoticons such as ":)" are text; Rocket.Chat has settings for
// them. The package looks nothing up: whether a mentioned user exists is not its question.
package md

import "time"

// Kind is the "type" of a node.
type Kind string

// The kinds of nodes.
const (
	Paragraph      Kind = "PARAGRAPH"
	LineBreak      Kind = "LINE_BREAK"
	Code           Kind = "CODE"
	Heading        Kind = "HEADING"
	Quote          Kind = "QUOTE"
	SpoilerBlock   Kind = "SPOILER_BLOCK"
	UnorderedList  Kind = "UNORDERED_LIST"
	OrderedList    Kind = "ORDERED_LIST"
	ListItem       Kind = "LIST_ITEM"
	Tasks          Kind = "TASKS"
	Task           Kind = "TASK"
	BigEmoji       Kind = "BIG_EMOJI"
	Plain          Kind = "PLAIN_TEXT"
	Bold           Kind = "BOLD"
	Italic         Kind = "ITALIC"
	Strike         Kind = "STRIKE"
	Spoiler        Kind = "SPOILER"
	InlineCode     Kind = "INLINE_CODE"
	Link           Kind = "LINK"
	Image          Kind = "IMAGE"
	MentionUser    Kind = "MENTION_USER"
	MentionChannel Kind = "MENTION_CHANNEL"
	Emoji          Kind = "EMOJI"
	Timestamp      Kind = "TIMESTAMP"
)

// MaxMarks is the number of marks (anything but plain text, paragraphs and line
// breaks) after which the rest of a text is taken as plain: a message of one-letter
// marks would otherwise grow thirtyfold on its way to every reader.
const MaxMarks = 1000

// MaxDepth is the deepest a tree can be: a quote, its paragraph, a spoiler, the three
// emphases and a link in any order, and the text.
const MaxDepth = 8

// Node is one node of the tree.
type Node struct {
	Kind Kind
	// Text is the text of a leaf: the plain text, code, name, short code
	// without colons, Unicode emoji, seconds since 1970, or the address of a link or an
	// image. For Code it is the language.
	Text string
	// Kids are what a container holds: inline nodes of a paragraph, of bold,
	// italic, strike, a spoiler and of a link's label, the one text of an image's; lines (as
	// Plain) of a Code; items of a list.
	Kids []Node
	// Number is the level of a heading, or 1 for a task that is done.
	Number int
	// Mark says more: the number of an item of an ordered list as it was written, the
	// format of a timestamp, and "unicode" for an emoji that is one character.
	Mark string
}

// Document is a parsed text.
type Document []Node

// Parse parses a text that was written at a time, which only clock times ("<t:10:30>")
// look at. It never fails: what is no mark is plain text. The empty text gives an empty
// document.
func Parse(text string, written time.Time) Document {
	if text == "" {
		return nil
	}
	p := parser{s: text, written: written, left: MaxMarks, patience: patienceBase + patienceTimes*len(text)}
	if d := p.bigEmoji(); d != nil {
		return d
	}
	return p.blocks()
}

// Walk calls f for every inline node and every block, depth first, in the order of the text.
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
