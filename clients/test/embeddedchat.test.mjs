// EmbeddedChat (@embeddedchat/react) in Chromium, on a page of another origin: every button of the widget is
// pressed by the administrator, and what comes of it is looked for on the page and in the streams of bob, who
// is connected by DDP. Files may be read without a login here, since the widget puts pictures into the page by
// their address alone.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Site, press } from '../support/embeddedchat.mjs';
import { ddpClient } from '../support/rocketchat.mjs';
import { Server, adminPassword } from '../support/server.mjs';
import { watchWebSocket } from '../support/sockets.mjs';
import { until } from '../support/story.mjs';

// One red point.
const picture = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC', 'base64');

let server;
let site;
let bob;
let rid;
let widget;
let page;
const heard = [];
const deleted = [];
const typing = [];

/** The newest state of a message that bob was told of. */
const told = (holds) => heard.findLast(holds);
const waitFor = async (what, holds) => {
  await until(what, () => told(holds));
  return told(holds);
};
const say = (msg, more) => bob.call('sendMessage', { rid, msg, ...more });

before(async () => {
  // A person takes minutes for what is done here in seconds, from one address.
  server = await Server.start({
    OVERWRITE_SETTING_API_Enable_Rate_Limiter_Limit_Calls_Default: '100',
    OVERWRITE_SETTING_FileUpload_ProtectFiles: 'false',
  });
  const [account] = await Promise.all([server.addUser('bob', { name: 'Bob' }), Site.start(server).then((s) => { site = s; })]);
  bob = ddpClient(server.url, watchWebSocket());
  await bob.connect();
  await bob.login(account);
  ({ rid } = await bob.call('createChannel', 'hall', ['admin']));
  await bob.sdk.stream('room-messages', rid, (message) => heard.push(message)).ready();
  await bob.sdk.stream('notify-room', `${rid}/deleteMessage`, ({ _id }) => deleted.push(_id)).ready();
  await bob.sdk.stream('notify-room', `${rid}/user-activity`, (...args) => typing.push(args)).ready();
  const admin = ddpClient(server.url, watchWebSocket());
  await admin.connect();
  await admin.login({ username: 'admin', password: adminPassword });
  assert.equal(await admin.call('2fa:enable-email'), true);
  // The widget answers no question for a second factor but that of the login, and an administrator who makes a
  // link into a room of others is asked one: an owner of the room is not.
  const proof = { twoFactorMethod: 'password', twoFactorCode: createHash('sha256').update(account.password).digest('hex') };
  assert.equal(await bob.call('addRoomOwner', rid, admin.sdk.account.uid, proof), true);
  admin.close();
});
after(async () => {
  bob?.close();
  await site?.stop();
  await server?.stop();
});

const said = (text) => page.waitForFunction((t) => window.said.some((line) => line.includes(t)), text);
const asked = (call, status) => until(`${call} ${status}`, () => widget.asked.some((a) => a.call === call && a.status === status));
const message = (text) => page.locator('.ec-chat-body .ec-message', { has: page.locator('.ec-message-body', { hasText: text }) }).first();
const input = () => page.locator('.ec-chat-input textarea');
const sidebar = () => page.locator('.ec-sidebar');

/** Presses a button of a message's own tools. */
async function tool(text, label) {
  await message(text).hover();
  await press(message(text).locator('.ec-message-toolbox'), label);
}

/** Opens an entry of the menu of the room. */
async function menu(label) {
  await page.locator('.ec-chat-header .ec-menu-wrapper button').click();
  await page.locator('.ec-chat-header .ec-menu-item', { hasText: label }).click();
}

/** A recording is under way, which the clock beside the button shows too early. */
const recording = (count) => page.waitForFunction((n) => window.recordings === n, count);

const leaveSidebar = () => sidebar().locator('button').first().click();

test('EmbeddedChat: a wrong password, a code by mail, a reload', async () => {
  await say('a *bold* welcome, @admin');
  widget = await site.open({ roomId: rid, channelName: 'hall', enableThreads: true, showRoles: true, showUsername: true, auth: { flow: 'PASSWORD' } });
  ({ page } = widget);
  await page.getByRole('button', { name: 'JOIN' }).click();
  await page.getByPlaceholder('example@example.com').fill('admin');
  const password = page.locator('input[type=password]');
  await password.fill('not the password');
  await page.getByRole('button', { name: 'Login', exact: true }).click();
  await said('Invalid username or password');
  await password.fill(adminPassword);
  await page.getByRole('button', { name: 'Login', exact: true }).click();
  await page.getByText('Enter TOTP').waitFor();
  const code = await server.mailbox.code('admin@example.org');
  const field = page.getByPlaceholder('123456');
  await field.fill(code === '000000' ? '000001' : '000000');
  await page.getByRole('button', { name: 'Submit' }).click();
  await until('the refusal of the code', () => widget.asked.filter((a) => a.call === 'POST login' && a.status === 401).length === 3);
  assert.ok(await field.isVisible());
  await field.fill(code);
  await page.getByRole('button', { name: 'Submit' }).click();
  await field.waitFor({ state: 'detached' });
  await message('a bold welcome').locator('strong', { hasText: 'bold' }).waitFor();
  await page.reload();
  await message('a bold welcome').waitFor();
  await page.locator('.ec-chat-header--channelName', { hasText: 'hall' }).waitFor();
});

test('EmbeddedChat: talks, and sees who types', async () => {
  await bob.call('stream-notify-room', `${rid}/user-activity`, 'bob', ['user-typing'], {});
  await page.getByText('bob is typing').waitFor();
  await bob.call('stream-notify-room', `${rid}/user-activity`, 'bob', [], {});
  await page.getByText('bob is typing').waitFor({ state: 'detached' });

  await input().fill('by the key');
  await until('who types', () => typing.some(([who, what]) => who === 'admin' && what.includes('user-typing')));
  await input().press('Enter');
  const sent = await waitFor('the message', (m) => m.msg === 'by the key');
  assert.equal(sent.u.username, 'admin');
  await until('who stopped', () => typing.at(-1)[1].length === 0);
  await message('by the key').waitFor();

  await input().fill('loud');
  await input().selectText();
  await press(page.locator('.ec-chat-input-formatting-toolbar'), 'Bold');
  await page.locator('.ec-chat-input button').first().click();
  const loud = await waitFor('the message in bold', (m) => m.msg === '*loud*');
  assert.equal(loud.md[0].value[0].type, 'BOLD');
  await message('loud').locator('strong').waitFor();
});

test('EmbeddedChat: reacts, edits and deletes', async () => {
  await tool('loud', 'Add reaction');
  await page.locator('.ec-popup .epr-emoji').first().click();
  const { reactions } = await waitFor('the reaction', (m) => m.msg === '*loud*' && m.reactions);
  const [name] = Object.keys(reactions);
  assert.deepEqual(reactions[name].usernames, ['admin']);
  await bob.call('setReaction', name, told((m) => m.msg === '*loud*')._id, true);
  const reaction = message('loud').locator('.ec-message-reactions .ec-box').first();
  await reaction.filter({ hasText: '2' }).waitFor();
  await reaction.click();
  await until('the end of the reaction', () => told((m) => m.msg === '*loud*')?.reactions?.[name]?.usernames.join() === 'bob');
  await reaction.filter({ hasText: '1' }).waitFor();

  await tool('by the key', 'Edit');
  await page.getByText('Editing Message').waitFor();
  await input().press('Escape');
  await page.getByText('Editing Message').waitFor({ state: 'detached' });
  await tool('by the key', 'Edit');
  await input().fill('by the second key');
  await input().press('Enter');
  const edited = await waitFor('the edit', (m) => m.msg === 'by the second key');
  assert.equal(edited.editedBy.username, 'admin');
  await message('by the second key').waitFor();

  await tool('by the second key', 'Delete');
  await page.getByText('Delete this message?').waitFor();
  await page.getByRole('button', { name: 'Delete message' }).click();
  await until('the deletion', () => deleted.includes(edited._id));
  await message('by the second key').waitFor({ state: 'detached' });

  // What bob changes and deletes changes here, too.
  const { _id } = await say('first thought');
  await message('first thought').waitFor();
  await bob.call('updateMessage', { _id, rid, msg: 'second thought' });
  await message('second thought').waitFor();
  await bob.call('deleteMessage', { _id });
  await message('second thought').waitFor({ state: 'detached' });
});

test('EmbeddedChat: quotes, stars and pins', async () => {
  const { _id } = await say('to be remembered');
  await tool('to be remembered', 'Quote');
  await page.locator('.ec-quote-msg', { hasText: 'to be remembered' }).waitFor();
  await input().fill('indeed');
  await input().press('Enter');
  const quote = await waitFor('the quote', (m) => m.msg.includes('indeed') && m.attachments);
  assert.equal(quote.attachments[0].text, 'to be remembered');
  assert.equal(quote.attachments[0].author_name, 'bob');
  await message('indeed').getByText('to be remembered').waitFor();

  const own = () => page.locator(`#ec-message-body-${_id}`);
  const ownTool = async (label) => {
    await own().hover();
    await press(own().locator('.ec-message-toolbox'), label);
  };
  await ownTool('Star');
  await asked('POST chat.starMessage', 200);
  await menu('Starred Messages');
  await sidebar().locator('.ec-message', { hasText: 'to be remembered' }).waitFor();
  await leaveSidebar();
  await ownTool('Unstar');
  await asked('POST chat.unStarMessage', 200);
  await menu('Starred Messages');
  await sidebar().getByText('No Starred Messages').waitFor();
  await leaveSidebar();

  await ownTool('Pin');
  await waitFor('the pin', (m) => m._id === _id && m.pinned);
  await waitFor('the note of it', (m) => m.t === 'message_pinned');
  await page.getByText('Pinned a message:').waitFor();
  await menu('Pinned Messages');
  await sidebar().locator('.ec-message', { hasText: 'to be remembered' }).waitFor();
  await leaveSidebar();
  await ownTool('Unpin');
  await until('the end of the pin', () => told((m) => m._id === _id).pinned === false);
  await menu('Pinned Messages');
  await sidebar().getByText('No Pinned Messages').waitFor();
  await leaveSidebar();
});

test('EmbeddedChat: answers in threads', async () => {
  const { _id: tmid } = await say('who comes along?');
  await tool('who comes along?', 'Reply in thread');
  await input().fill('I do');
  await input().press('Enter');
  const answer = await waitFor('the answer', (m) => m.msg === 'I do');
  assert.equal(answer.tmid, tmid);
  await waitFor('the count of the answers', (m) => m._id === tmid && m.tcount === 1);
  await message('I do').waitFor();
  await say('me too', { tmid });
  await message('me too').waitFor();
  await page.locator('.ec-chat-header button').last().click(); // back
  await message('I do').waitFor({ state: 'detached' });
  await message('who comes along?').locator('.ec-message-metrics [title=Replies]', { hasText: '2' }).waitFor();

  await menu('Threads');
  await sidebar().locator('.ec-message', { hasText: 'who comes along?' }).waitFor();
  await sidebar().getByPlaceholder('Search Threads').fill('nothing of the kind');
  await sidebar().getByText('No threads found').waitFor();
  await leaveSidebar();

  // Opened again, a thread has what was said in it.
  await message('who comes along?').getByRole('button', { name: 'Reply' }).click();
  await message('me too').waitFor();
  await message('I do').waitFor();
  await page.locator('.ec-chat-header button').last().click();
});

test('EmbeddedChat: files, pictures, sound and films', async () => {
  await page.locator('.ec-chat-input input[type=file]').setInputFiles({ name: 'point.png', mimeType: 'image/png', buffer: picture });
  await page.getByText('File Upload').waitFor();
  await page.getByPlaceholder('name').fill('red.png');
  await page.getByPlaceholder('Description').fill('a red point');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  const sent = await waitFor('the picture', (m) => m.file?.name === 'red.png');
  assert.equal(sent.attachments[0].description, 'a red point');
  const shown = page.locator('.ec-chat-body img[src*="/file-upload/"]').first();
  await shown.waitFor();
  await until('the picture itself', () => shown.evaluate((img) => img.naturalWidth === 1));
  await shown.click();
  const gallery = page.locator('#overlay-items img[src*="/file-upload/"]');
  await until('the picture in its frame', () => gallery.evaluate((img) => img.naturalWidth === 1));
  await page.locator('#overlay-items button').first().click();
  await gallery.waitFor({ state: 'detached' });

  // Chromium makes up a microphone and a camera.
  const tools = page.locator('.ec-chat-input-formatting-toolbar');
  await press(tools, 'Audio Message');
  await recording(1);
  await tools.locator('button').nth(7).click(); // after a face, five kinds of letters and the cross: done
  const sound = await waitFor('the sound', (m) => m.file?.name === 'Audio record.mp3');
  await page.locator(`.ec-chat-body audio`).first().waitFor();
  assert.ok(sound.attachments[0].audio_url);
  await press(tools, 'Video Message');
  await recording(2);
  await page.locator('.ec-modal button').last().click();
  const film = await waitFor('the film', (m) => m.file?.name === 'Video record.mp4');
  await page.locator('.ec-chat-body video').first().waitFor();
  assert.ok(film.attachments[0].video_url);

  // What is too long for a message goes as a file.
  await input().fill('long '.repeat(1500));
  await input().press('Enter');
  await page.getByText('Message Too Long!').waitFor();
  await page.getByRole('button', { name: 'Ok', exact: true }).click();
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await waitFor('the long text', (m) => m.file?.name === 'message.txt');

  const read = () => fetch(`${server.url}${sent.attachments[0].image_url}`);
  assert.equal((await read()).status, 200);
  await menu('Files');
  await sidebar().locator('.ec-file').nth(3).waitFor();
  await sidebar().getByPlaceholder('Search Files').fill('red');
  await sidebar().locator('.ec-file').nth(1).waitFor({ state: 'detached' });
  await sidebar().locator('.ec-file .ec-menu-wrapper button').click();
  await sidebar().locator('.ec-menu-item', { hasText: 'Delete' }).click();
  await page.getByText('Deleting a file will delete it forever').waitFor();
  await page.locator('.ec-modal').getByRole('button', { name: 'Delete', exact: true }).click();
  await until('the deletion of the picture', () => deleted.includes(sent._id));
  await leaveSidebar();
  assert.equal((await read()).status, 403);
});

test('EmbeddedChat: searches, mentions, members and rooms', async () => {
  await say('a needle in the hay');
  await message('a needle').waitFor();
  await menu('Search Messages');
  await sidebar().getByPlaceholder('Search Messages').fill('needle');
  await sidebar().locator('.ec-message', { hasText: 'a needle in the hay' }).waitFor();
  await leaveSidebar();

  await menu('Mentions');
  await sidebar().locator('.ec-message', { hasText: 'a bold welcome' }).waitFor();
  await leaveSidebar();

  await input().pressSequentially('@bo');
  await page.locator('.ec-chat-input li', { hasText: '@bob' }).click();
  await input().pressSequentially('look');
  await input().press('Enter');
  const call = await waitFor('the mention', (m) => m.msg === '@bob look');
  assert.equal(call.mentions[0].username, 'bob');

  await menu('Members');
  await sidebar().getByText('bob', { exact: true }).waitFor();
  await sidebar().getByText('admin', { exact: true }).waitFor();
  await leaveSidebar();

  await bob.call('saveRoomSettings', rid, 'roomDescription', 'where all meet');
  await page.reload(); // it asks for the room once
  await message('a needle').waitFor();
  await menu('Room Information');
  await sidebar().getByText('# hall').waitFor();
  await sidebar().getByText('where all meet').waitFor();
  await leaveSidebar();

  await message('a needle').locator('.ec-avatar-container\\,').click();
  await sidebar().getByText('bob@example.org').waitFor();
  await leaveSidebar();
});

test('EmbeddedChat: reports, lets people in and runs commands', async () => {
  const { _id } = await say('something rude');
  await tool('something rude', 'Report');
  await page.getByText('Report this message?').waitFor();
  await page.getByPlaceholder('Why do you want to report this message?').fill('it is rude');
  await page.getByRole('button', { name: 'Report message' }).click();
  await said('Message reported successfully');
  const session = await page.evaluate(() => localStorage.getItem('ec_token'));
  const api = async (path, options) => (await fetch(`${server.url}/api/v1/${path}`, options)).json();
  const { data } = await api('login', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ resume: session }) });
  const { reports } = await api(`moderation.reports?msgId=${_id}`, { headers: { 'x-auth-token': data.authToken, 'x-user-id': data.userId } });
  assert.deepEqual(reports.map((r) => r.description), ['it is rude']);

  await menu('Members');
  await sidebar().getByRole('button', { name: 'Invite Link' }).click();
  const link = sidebar().locator('input[readonly]');
  await link.waitFor();
  await sidebar().getByText('Your invite link will expire on').waitFor();
  const token = (await link.inputValue()).split('/').at(-1);
  await sidebar().locator('button').last().click(); // copies it
  await said('Copied to clipboard');
  await leaveSidebar();
  const carol = ddpClient(server.url, watchWebSocket());
  await carol.connect();
  await carol.login(await server.addUser('carol', { name: 'Carol' }));
  assert.equal((await carol.call('useInviteToken', token)).rid, rid);
  carol.close();
  await waitFor('who came', (m) => m.t && m.u.username === 'carol');

  await input().pressSequentially('/shr');
  await page.locator('.ec-commands-list li', { hasText: 'shrug' }).click();
  assert.equal(await input().inputValue(), '/shrug');
  await input().pressSequentially(' why not');
  await input().press('Enter');
  await waitFor('the shrug', (m) => m.msg.startsWith('why not ') && m.msg.includes('(ツ)'));
  await input().pressSequentially('/topic tea');
  await input().press('Enter');
  await waitFor('the topic', (m) => m.t === 'room_changed_topic' && m.msg === 'tea');
  await asked('POST commands.run', 200);
});

test('EmbeddedChat: logs out', async () => {
  const token = await page.evaluate(() => localStorage.getItem('ec_token'));
  await press(page.locator('.ec-chat-header'), 'Maximize');
  await press(page.locator('.ec-chat-header'), 'Minimize');
  // What it asks afterwards, with the token that it gave back, is refused.
  const refused = widget.asked.filter(({ status }) => status >= 400).map(({ call, status }) => `${call} ${status}`);
  assert.deepEqual(refused, ['POST login 401', 'POST login 401', 'POST login 401']);
  await menu('Logout');
  await page.getByRole('button', { name: 'JOIN' }).waitFor();
  await asked('POST logout', 200);
  await page.reload();
  await page.getByRole('button', { name: 'JOIN' }).waitFor();
  const again = await fetch(`${server.url}/api/v1/login`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ resume: token }) });
  assert.equal(again.status, 401);
  assert.deepEqual(widget.troubles, []);
});
