// Texts and the trees that @rocket.chat/message-parser makes of them: 0.31.35, the newest that runs
// on Node 20, which is also what Rocket.Chat of the level that is told has. Run by itself, this
// writes them to internal/rooms/md/testdata/published.json, by which the Go parser is tested;
// test/markdown.test.mjs tests that the file is still what the published parser says.

import { parse } from '@rocket.chat/message-parser';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export const file = fileURLToPath(new URL('../../internal/rooms/md/testdata/published.json', import.meta.url));

// What people write, and what they write by mistake.
export const written = [
  'hello', 'hello world, how are you?', 'two\nlines', 'a\n\nb', 'a\r\nb', '   ', '\n', ' \n ', 'tab\tbed', 'ends\n', '\n\nbegins',
  '*bold*', '**bold**', '***bold***', '* not bold*', '*bold *', 'a*b*c', '*a', 'a*', '**a*', '*a**', '* *', '** **', '****', '*', '2*3*4',
  '_italic_', '__italic__', '_italic', 'snake_case_name', 'snake__case', '_a_b', '__a__b', 'a_b_', '_ a _', '__', '___', '_a__', '__a_',
  '~strike~', '~~strike~~', '~~~', '~ ~', '~a', '*_~all~_*', '~*_all_*~', '_*a* b_', '**a _b_ ~c~**', '*a\nb*', '*a _b* c_',
  '`code`', '``', '`a', '`*a*`', 'a `b` c', '`a\nb`', '*`a`*', '```\ncode\n```', '```js\nlet x = 1;\nlet y;\n```', '```\na\n\n\nb\n```',
  '```\n```', '```\nopen', 'before\n```\ncode\n```\nafter', '```a```', '```bash x.sh\nls\n```', '``` \na\n```', '```\n*a*\n```',
  '# one', '## two', '### three', '#### four', '##### five', '#no', '# ', '# a\nb', '# *a* b', '#\ttab', 'a # b', '# a\n\n# b', '#general', '# general',
  '> quote', '>quote', '> a\n> b', '> a\nb', '>', '> ', '>\n', '> *a*', '> > a', '> a\n\n> b', '> a\n>\n> b', 'a > b', '>:)',
  '- a', '- a\n- b', '* a\n* b', '- a\n* b', '-a', '- ', '- *a*', '* *a*', '* a *b', '- a\n\n- b', ' - a', '- a\n  - b', '-', '- - a',
  '1. a', '1. a\n2. b', '3. a\n1. b', '1.a', '1. ', '1) a', '10. ten', '1. a\n- b', '1. *a*', '99999999999999999999999. many', '007. bond',
  '- [x] done', '- [ ] open', '- [x] a\n- [ ] b\n- [x] c', '- [] a', '- [X] a', '- [x]a', '* [x] a', '- [x] *a*\n- b', '- b\n- [x] a',
  '||spoiler||', 'a ||b|| c', '|| ||', '||', '||||', '||a', '||*a* @b||', '||a\nb||', '||\na\n||', '||\na\n\n||', '||\n*a*\nb\n||', '||\na', '|a|',
  'https://rocket.chat', 'http://rocket.chat/path?a=b#c', 'see https://x.org.', 'see https://x.org/a_b, then', '(https://x.org)', 'https://x.org)',
  'https://x.org/a(b)', 'https://x.org/*a*', '*https://x.org*', 'https://a.b', 'https://', 'http://localhost:3000/x', 'localhost', 'https://user:pw@x.org/',
  'rocket.chat', 'see rocket.chat now', 'www.rocket.chat', 'Rocket.Chat', 'foo.github.io', 'a.b.c', 'file.md', 'main.go', 'e.g. this', 'v1.2.3', '1.2.3.4',
  '10.0.0.1/x', 'example.invalid', 'x_y.com', 'a-b.com', '-b.com', 'b.com-', 'пример.рф', '例え.みんな', 'ftp://x.org/a', 'custom://thing', 'end.of.sentence.Next',
  'a@b.com', 'mail me@example.org now', 'mailto:a@b.com', 'a.b+c@d-e.org', 'a@b', 'a@b.invalid', 'a@b.com-', 'x@localhost', 'é@é.com', 'a@@b',
  '[a](https://x.org)', '[](https://x.org)', '[*a* b](https://x.org)', '[a](x.org)', '[a](x.org/a(b))', '[a] (https://x.org)', '[a](b)', '[a]()', '[a]',
  '[a](https://x.org) and [b](http://y.org)', '[a [b](https://x.org)', '[ ] [x](https://y.org)', '*[a](https://x.org)*', '[a](https://x.org', '[a](tel:+49123)',
  '[a](javascript:alert(1))', '[a](data:text/html,x)', '[a](mailto:a@b.org)', '[@a](https://x.org)', '[a\nb](https://x.org)', '[a](+4912345)',
  '<https://x.org|site>', '<x.org|site>', '<https://x.org>', '<a|b>', '<https://x.org|>', '![a](https://x.org/a.png)', '![](https://x.org/a.png)', '![a b](x.org)', '![a]',
  '+49123456', '+4912', '+(49)123-456', '+49-123', 'call +49 123', '(+49123456)', '075-63546725', '+1',
  '@bob', '@bob.', 'hi @bob, see #general!', '@bob @ann', '@', '@ bob', '@@bob', 'a@bob', '@a.b-c_d', '@bob:example.org', '@bob@example.org', '(@bob)', '@боб', '*@bob*',
  '#general.', '#a-b_c', '##a', 'a#b', '#1', '#канал', '_#a_',
  ':smile:', ' :smile: ', ':a::b:', ':a: :b: :c:', ':a: :b: :c: :d:', 'a :smile:', ':smile: a', 'a:smile:b', ':smile:a', '(:smile:)', '*:smile:*', '_:a: b_', ':+1:', ':a b:',
  '10:20:30', ':', '::', ':)', ':-) ;) <3 :D', '😀', '😀😀😀', '😀😀😀😀', 'a 😀 b', 'a😀b', '👍🏽', '👨‍👩‍👧', '🇩🇪', '☕', '❤️', '⌚', '🤷‍♂️', '😀 :smile:', ':smile:😀', '*😀*', '_a😀_',
  '\\*a\\*', '\\_a_', '\\~a', '\\`a`', '\\# a', '1\\. a', '\\a', '\\\\', '$x$', '\\[x\\]', '$$x$$', 'color:#ff0000', '|a|b|\n|-|-|', '---', '***', '<b>a</b>', '&amp;', 'a & b',
  '<t:1630360800:R>', '<t:1630360800>', '<t:1630360800:x>', '<t:2025-07-22T10:00:00.000+00:00:F>', '<t:2025-07-22T10:00:00-02:00>', '<t:2025-07-22>', '<t:1>', '~<t:1630360800:d>~',
  'Hi *@ann*, the list:\n- [x] one\n- [ ] two\n\n> said _bob_\n```sh\nmake run\n```\nsee [docs](https://docs.rocket.chat) :tada:',
  'a very long line of words that goes on and on, with *one* mark and https://example.org/a/b/c?d=e in the middle of it, and an end.',
];

// tokens are put together at random, from a seed.
const tokens = ['*', '*', '**', '_', '_', '__', '~', '~~', '`', '```', '||', ' ', ' ', ' ', '\n', '\n', 'a', 'b', 'word', 'hello', 'x1', '@bob', '@', '#general', '#', '##',
  ':smile:', ':', '😀', '👍🏽', '☕', '[', '](', '] [', ')', '(', 'https://x.org', 'http://a.b/c', 'rocket.chat', 'localhost', 'www.x.org', 'a@b.com', '+49123456', '+(12)34-56',
  '<https://x.org|y>', '<', '|', '>', '> ', '- ', '- [x] ', '- [ ] ', '* ', '1. ', '12', '.', '!', '?', ',', '![a](https://x.org/i.png)', '\\*', '\\', '<t:1630360800:R>',
  '[l](https://x.org)', 'é', '漢字', 'example.invalid', '"', "'", ';', '=', '/', '$', '%', '&', '-', '+', '{', '}', '^', '\t', '\r\n'];

function mixed(seed, count) {
  const below = (n) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  return Array.from({ length: count }, () => Array.from({ length: 2 + below(8) }, () => tokens[below(tokens.length)]).join(''));
}

// pairs are all texts with their trees. A text of which the parser makes nothing has none.
export function pairs() {
  return [...new Set([...written, ...mixed(20261130, 900)])].map((text) => {
    try {
      return { text, md: parse(text) };
    } catch {
      return { text, md: [] };
    }
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(file, `[\n${pairs().map((pair) => JSON.stringify(pair)).join(',\n')}\n]\n`);
}
