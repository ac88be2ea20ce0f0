// Which of the endpoints that @rocket.chat/rest-typings declares this server has: read from the
// declarations and from docs/protocol.md. Run by itself, this writes docs/endpoints.md.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
export const file = fileURLToPath(new URL('../../docs/endpoints.md', import.meta.url));
const protocol = fileURLToPath(new URL('../../docs/protocol.md', import.meta.url));

// The areas of the published types that this server is for, by the file that declares them.
const core = new Map(Object.entries({
  assets: 'settings', auth: 'users', channels: 'rooms', chat: 'messages', commands: 'messages', customUserStatus: 'users', directory: 'rooms', dm: 'rooms',
  emojiCustom: 'messages', groups: 'rooms', invites: 'invites', me: 'users', misc: 'settings', presence: 'users', push: 'users', roles: 'roles', rooms: 'rooms',
  settings: 'settings', subscriptionsEndpoints: 'rooms', twoFactorChallenges: 'users', users: 'users',
  mailer: 'settings', import: 'settings', statistics: 'settings',
}));

async function declarations(dir) {
  const found = [];
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) found.push(...(await declarations(path)));
    else if (entry.name.endsWith('.d.ts')) found.push(path);
  }
  return found;
}

// area names where a file of declarations belongs.
function area(root, path) {
  const [first] = path.slice(root.length + 1).replace(/^v1\//, '').split('/');
  const name = basename(first, '.d.ts');
  return core.get(name) ?? name;
}

// typed lists what is declared: {verb, path, area}, each once.
export async function typed() {
  const root = dirname(require.resolve('@rocket.chat/rest-typings'));
  const all = new Map();
  for (const path of await declarations(root)) {
    let at;
    for (const line of (await readFile(path, 'utf8')).split('\n')) {
      const endpoint = /^(\s*)'\/v1\/([^']+)': \{/.exec(line);
      if (endpoint) at = { indent: endpoint[1].length, path: endpoint[2] };
      const verb = /^(\s+)(GET|POST|PUT|DELETE): /.exec(line);
      if (at && verb && verb[1].length === at.indent + 4) all.set(`${verb[2]} ${at.path}`, { verb: verb[2], path: at.path, area: area(root, path) });
      if (at && line.startsWith(`${' '.repeat(at.indent)}}`)) at = undefined;
    }
  }
  return [...all.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

// there is the set of routes, with parameters of paths under one name.
export async function there() {
  const text = await readFile(protocol, 'utf8');
  return new Set([...text.matchAll(/^\| `(GET|POST|PUT|DELETE) ([^`\s]+)`/gm)].map(([, verb, path]) => plain(verb, path)));
}

const plain = (verb, path) => `${verb} ${path.replace(/:\w+/g, ':')}`;

// report is docs/endpoints.md.
export async function report() {
  const routes = await there();
  const areas = new Map();
  for (const e of await typed()) {
    const list = areas.get(e.area) ?? areas.set(e.area, { there: [], out: [] }).get(e.area);
    (routes.has(plain(e.verb, e.path)) ? list.there : list.out).push(`${e.verb} ${e.path}`);
  }
  const cores = new Set(core.values());
  const rows = [...areas].sort(([a], [b]) => (cores.has(b) - cores.has(a)) || (a < b ? -1 : 1));
  const sum = (of) => of.reduce((n, [, l]) => n + l.there.length, 0);
  const inCore = rows.filter(([name]) => cores.has(name));
  const total = inCore.reduce((n, [, l]) => n + l.there.length + l.out.length, 0);
  return `# Endpoints that clients know

Made from the types that Rocket.Chat publishes (\`@rocket.chat/rest-typings\` ${require('@rocket.chat/rest-typings/package.json').version}) and from [protocol.md](protocol.md) by
\`make endpoints\`; do not edit. What is not here answers 404 with the name of the address. In the areas that this server is for
(${[...cores].sort().join(', ')}) it has ${sum(inCore)} of ${total}.

| Area | Here | Not here |
|---|---|---|
${rows.map(([name, l]) => `| ${name} | ${l.there.length} of ${l.there.length + l.out.length} | ${l.out.map((e) => `\`${e}\``).join(', ') || '–'} |`).join('\n')}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(file, await report());
