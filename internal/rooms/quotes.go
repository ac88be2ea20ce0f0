package rooms

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"ddpserver/internal/fault"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// quote adds a quote to the attachments of a message for each of its links that lead to a
// message of this server which the writer may read. Other links stay links, and nobody is
// told whether there is such a message. A quote replaces what a client attached under the
// same link, and as many are made as a message may have attachments: with what is quoted in
// them if it fits, else without.
func (s *Service) quote(ctx context.Context, by *user.User, links []URL, list []Attachment) ([]Attachment, error) {
	for _, link := range links {
		id := quoted(s.set.String(settings.SiteURL), link.URL)
		if id == "" {
			continue
		}
		m, _, err := s.message(ctx, by, id, ErrInvalidMessage)
		if _, refused := fault.From(err); refused || err == nil && m.Type != "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		others := slices.DeleteFunc(slices.Clone(list), func(a Attachment) bool { return a.MessageLink == link.URL })
		q := quoteOf(m, link.URL)
		for _, inner := range [][]Attachment{chain(m.Attachments, s.set.Int(settings.QuoteChainLimit)), nil} {
			q.Attachments = inner
			if next := append(others, q); s.fits(next) {
				list = next
				break
			}
		}
	}
	return list, nil
}

// quoteAgain is quote for a message that is edited: quotes of links that went go, too.
// One that the editor may not read stays as its author made it. Of a message of somebody
// else's, links that were there before are not the editor's: whoever wrote one to what he
// may not read would be shown it by the next moderator who mends a word.
func (s *Service) quoteAgain(ctx context.Context, by *user.User, links []URL, old *Message) ([]Attachment, error) {
	site := s.set.String(settings.SiteURL)
	kept := slices.DeleteFunc(slices.Clone(old.Attachments), func(a Attachment) bool {
		return quoted(site, a.MessageLink) != "" && !slices.Contains(links, URL{URL: a.MessageLink})
	})
	if old.User.ID != by.ID { // the text may have more links than are kept
		links = slices.DeleteFunc(slices.Clone(links), func(u URL) bool {
			return slices.Contains(old.URLs, u) || strings.Contains(old.Text, quoted(site, u.URL))
		})
	}
	return s.quote(ctx, by, links, kept)
}

// quoteOf is what a quote shows of a message.
func quoteOf(m *Message, link string) Attachment {
	name := m.User.Username
	if m.Alias != "" {
		name = m.Alias
	}
	return Attachment{Text: m.Text, AuthorName: name, AuthorIcon: "/avatar/" + url.PathEscape(m.User.Username), MessageLink: link, TS: m.TS}
}

// chain are the attachments of a message that is quoted, limit messages deep with the
// quote itself; those that are no quotes belong to their message.
func chain(list []Attachment, limit int) []Attachment {
	if limit < 2 {
		return nil
	}
	out := slices.Clone(list)
	for i := range out {
		out[i].Attachments = chain(out[i].Attachments, limit-1)
	}
	return out
}

// quoted is the id of the message that a link to this server names: the address of a room,
// with msg in its query.
func quoted(site, link string) string {
	base, err := url.Parse(site)
	if err != nil || link == "" {
		return ""
	}
	u, err := url.Parse(link)
	if err != nil || !strings.EqualFold(u.Scheme, base.Scheme) || !strings.EqualFold(u.Host, base.Host) || u.User != nil {
		return ""
	}
	path, ok := strings.CutPrefix(u.Path, strings.TrimRight(base.Path, "/")+"/")
	kind, name, _ := strings.Cut(path, "/")
	if !ok || name == "" || !slices.Contains([]string{"channel", "group", "direct"}, kind) {
		return ""
	}
	id := u.Query().Get("msg")
	if !usableID(id) {
		return ""
	}
	return id
}
