// docs/shapes.md says where an answer of this server is not what the published types say, and nothing else is not.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { file, report } from '../support/recorded.mjs';
import { compare } from '../support/shapes.mjs';

test('shapes: an answer that lacks something, or has it otherwise, is found', async () => {
  const whole = { joined: true, members: 2, unreads: 0, unreadsFrom: null, msgs: 3, latest: null, userMentions: 0, success: true, more: 'than is known' };
  const { latest, ...less } = whole;
  const call = 'GET channels.counters';
  const found = await compare([whole, less, { ...whole, members: 'two' }].map((answer) => ({ verb: 'GET', path: 'channels.counters', answer })));
  assert.deepEqual(found, [{ call, said: 'has `latest`' }, { call, said: 'another type in `members`' }]);
});

test('shapes: the document is what the server answers and the types say', async () => {
  assert.equal(await readFile(file, 'utf8'), await report(), 'look at the difference; run make shapes if it is wanted');
});
