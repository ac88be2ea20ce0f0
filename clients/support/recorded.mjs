// A session whose answers are compared with the published types: every GET that is declared and here, and what people post most.
// Run by itself, this writes docs/shapes.md.

import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { there, typed } from './offered.mjs';
import { Server, adminPassword } from './server.mjs';
import { compare } from './shapes.mjs';

const { version } = createRequire(import.meta.url)('@rocket.chat/rest-typings/package.json');
export const file = fileURLToPath(new URL('../../docs/shapes.md', import.meta.url));

// What has no answer here that a session could record: why.
const left = new Map(Object.entries({
  logout: 'ends the session', 'users.getAvatar': 'gives a picture', 'settings/:_id': 'its parameter is in its path', 'users.totpCodesRemaining': 'asks for an authenticator',
}));

async function record(server) {
  const call = async (headers, verb, path, body) => {
    const response = await fetch(`${server.url}/api/v1/${path}`, {
      method: verb, headers: { ...headers, ...(body && { 'content-type': 'application/json' }) }, body: body && JSON.stringify(body) });
    return { status: response.status, answer: await response.json() };
  };
  await server.addUser('bob', { name: 'Bob' });
  const { answer: { data } } = await call({}, 'POST', 'login', { user: 'admin', password: adminPassword });
  const headers = { 'x-user-id': data.userId, 'x-auth-token': data.authToken };
  const answers = [];
  const refused = [];
  const ask = async (verb, path, { query = '', body } = {}) => {
    const { status, answer } = await call(headers, verb, `${path}${query && `?${query}`}`, body);
    if (status === 200) answers.push({ verb, path, answer });
    else refused.push(`\`${verb} ${path}\``);
    return answer;
  };
  const post = (path, body) => ask('POST', path, { body });

  const { channel } = await post('channels.create', { name: 'hall', members: ['bob'] });
  const { group } = await post('groups.create', { name: 'cellar', members: ['bob'] });
  const { room: direct } = await post('im.create', { username: 'bob' });
  const rid = channel._id;
  const { message } = await post('chat.sendMessage', { message: { rid, msg: 'hello @admin https://example.org' } });
  await post('chat.sendMessage', { message: { rid, msg: 'an answer', tmid: message._id } });
  await post('chat.postMessage', { roomId: rid, text: 'posted' });
  await post('chat.update', { roomId: rid, msgId: message._id, text: 'hello @admin and https://example.org' });
  await post('chat.starMessage', { messageId: message._id });
  await post('chat.react', { messageId: message._id, emoji: ':wave:', shouldReact: true });
  await post('channels.setTopic', { roomId: rid, topic: 'talk' });
  await post('users.setStatus', { message: 'here', status: 'away' });

  const long = new Date(0);
  const known = (path) => ({
    roomId: path.startsWith('groups.') ? group._id : /^(im|dm)\./.test(path) ? direct._id : rid,
    rid, userId: data.userId, msgId: message._id,
    messageId: message._id, tmid: message._id, searchText: 'hello', username: 'nobody', roomName: 'hall', command: 'me', _id: rid, type: 'all',
    since: long.toISOString(), lastUpdate: long.toISOString(), updatedSince: long.toISOString() });
  const always = new Set(['_id', 'roomId', 'userId', 'msgId', 'messageId', 'tmid', 'searchText']);
  const { paths } = await (await fetch(`${server.url}/api/openapi.json`)).json();
  const routes = await there();
  for (const { verb, path } of await typed()) {
    if (verb !== 'GET' || path.includes(':') || left.has(path) || !routes.has(`GET ${path}`)) continue;
    const parameters = (paths[`/api/v1/${path}`] ?? paths[`/${path}`]).get.parameters ?? [];
    const values = known(path);
    const query = new URLSearchParams();
    for (const { name, required, in: where } of parameters) {
      if (where === 'query' && values[name] && (required || always.has(name))) query.set(name, values[name]);
    }
    if (path === 'chat.syncMessages') query.set('lastUpdate', values.lastUpdate);
    await ask(verb, path, { query: String(query) });
  }
  return { answers, refused };
}

/** The document: what the answers of a server have otherwise than the types. */
export async function report() {
  const server = await Server.start({ OVERWRITE_SETTING_API_Enable_Rate_Limiter: 'false' });
  try {
    const { answers, refused } = await record(server);
    const found = (await compare(answers)).map(({ call, said }) => `| \`${call}\` | ${said} |`);
    const calls = new Set(answers.map(({ verb, path }) => `${verb} ${path}`));
    return `# Shapes of answers

Made by \`make shapes\` from what a server answers in one session and from the types that Rocket.Chat publishes
(\`@rocket.chat/rest-typings\` ${version}), with the compiler that reads them; do not edit. ${calls.size} calls were compared: the GETs that are
declared and here, and what people post most. The compiler names the first thing in an answer that is missing or of another type; what an answer
has beyond its type is not looked at. Every difference is in this list, wanted or not: the types promise members that Rocket.Chat itself leaves
out (\`channels.members\`), say nothing where it says \`success\` (\`users.setStatus\`), or a room where it gives an identifier (\`chat.postMessage\`).

Refused in this session, so not compared: ${refused.sort().join(', ') || 'none'}.

| Call | What the type has otherwise |
|---|---|
${[...new Set(found)].sort().join('\n')}
`;
  } finally {
    await server.stop();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(file, await report());
  process.exit(0);
}
