// Starts the built server for one test file: on a free port, with a data
// directory of its own and a real SMTP server that keeps what it is sent.

import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SMTPServer } from 'smtp-server';

const here = dirname(fileURLToPath(import.meta.url));
const binary = resolve(process.env.DDPSERVER_BIN ?? join(here, '../../bin/ddpserver'));

// With MONGO_URL the servers run on MongoDB, each in a database of its own. The
// URL has to name one, to which a random part is added.
function mongo() {
  if (!process.env.MONGO_URL) return {};
  const url = new URL(process.env.MONGO_URL);
  url.pathname += `-${randomBytes(6).toString('hex')}`;
  return { MONGO_URL: url.href, ENCRYPTION_KEY: randomBytes(32).toString('base64') };
}

export const adminPassword = 'the administrator of this test';

// Mailbox is the receiving SMTP server.
class Mailbox {
  #mails = [];
  #waiting = [];

  async start() {
    this.smtp = new SMTPServer({
      disabledCommands: ['AUTH', 'STARTTLS'],
      logger: false,
      onData: (stream, session, done) => {
        const parts = [];
        stream.on('data', (part) => parts.push(part));
        stream.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          for (const { address } of session.envelope.rcptTo) this.#mails.push({ to: address, text });
          this.#waiting.splice(0).forEach((look) => look());
          done();
        });
      },
    });
    this.smtp.listen(0, '127.0.0.1');
    await once(this.smtp.server, 'listening');
    this.port = this.smtp.server.address().port;
  }

  // mail takes the oldest unread mail for an address that matches; others stay.
  async mail(to, pattern, within = 600_000) {
    const deadline = Date.now() + within;
    for (;;) {
      const at = this.#mails.findIndex((m) => m.to === to && pattern.test(m.text));
      if (at >= 0) return this.#mails.splice(at, 1)[0].text;
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no mail for ${to} matches ${pattern}`);
      await new Promise((look) => {
        const timer = setTimeout(look, left);
        this.#waiting.push(() => {
          clearTimeout(timer);
          look();
        });
      });
    }
  }

  // code reads the next mailed code as six digits.
  async code(to) {
    const pattern = /^(\d{3})-(\d{3})\s*$/m;
    const [, first, last] = pattern.exec(await this.mail(to, pattern));
    return first + last;
  }

  stop() {
    return new Promise((done) => this.smtp.close(done));
  }
}

export class Server {
  static async start(env = {}) {
    const server = new Server();
    server.mailbox = new Mailbox();
    await server.mailbox.start();
    server.dir = await mkdtemp(join(tmpdir(), 'ddpserver-clients-'));
    server.env = {
      PATH: process.env.PATH,
      DATA_DIR: server.dir,
      PORT: '0',
      MAIL_URL: `smtp://127.0.0.1:${server.mailbox.port}`,
      MAIL_FROM: 'ddpserver@example.org',
      ADMIN_USERNAME: 'admin',
      ADMIN_EMAIL: 'admin@example.org',
      ADMIN_PASS: adminPassword,
      LOG_FORMAT: 'json',
      ...mongo(),
      ...env,
    };
    await server.#launch();
    return server;
  }

  async #launch() {
    this.log = [];
    this.printed = [];
    this.process = spawn(binary, [], { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    createInterface({ input: this.process.stderr }).on('line', (line) => this.log.push(line));
    const ended = once(this.process, 'exit').then(([code]) => {
      throw new Error(`the server ended with ${code}:\n${this.log.join('\n')}`);
    });
    ended.catch(() => {});
    const listening = new Promise((found) => {
      createInterface({ input: this.process.stdout }).on('line', (line) => {
        this.printed.push(line);
        const at = /^Listening on (.*)$/.exec(line);
        if (at) found(at[1]);
      });
    });
    this.url = await Promise.race([listening, ended]);
    this.ws = `${this.url.replace(/^http/, 'ws')}/websocket`;
    this.sockjs = `${this.url}/sockjs`;
  }

  // addUser makes an account with a verified address and without any factor.
  async addUser(username, { verified = true, email = `${username}@example.org`, name, role } = {}) {
    const password = `${username} and a long password`;
    const args = ['user', 'create', '--username', username, '--email', email, '--password-stdin'];
    if (verified) args.push('--verified');
    if (name) args.push('--name', name);
    if (role) args.push('--role', role);
    await new Promise((done, fail) => {
      const child = execFile(binary, args, { env: this.env }, (err, _out, text) => (err ? fail(new Error(text)) : done()));
      child.stdin.end(password);
    });
    return { username, email, password };
  }

  // down ends the server and keeps its data and its mailbox; up starts it again at the same address.
  async down() {
    const gone = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    await gone;
  }

  async up() {
    this.env.PORT = new URL(this.url).port;
    await this.#launch();
  }

  async stop() {
    if (this.process.exitCode === null) {
      const gone = once(this.process, 'exit');
      this.process.kill('SIGTERM');
      const [code] = await gone;
      if (code !== 0) throw new Error(`the server ended with ${code}:\n${this.log.join('\n')}`);
    }
    await this.mailbox.stop();
    await rm(this.dir, { recursive: true, force: true });
  }
}
