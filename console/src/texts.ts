// Every text of the console. A second language is another object of this type;
// what takes parameters is a function, so that word order is free.
import type { Details } from './errors';

const seconds = (ms: number) => Math.max(1, Math.ceil(ms / 1000));

export const texts = {
  product: 'ddpserver',
  loading: 'Loading …',
  nothing: 'Nothing here yet.',
  again: 'Try again',
  cancel: 'Cancel',
  close: 'Close',
  save: 'Save',
  copy: 'Copy',
  copied: 'Copied',
  previous: 'Previous',
  next: 'Next',
  pages: 'Pages',
  on: 'On',
  off: 'Off',
  range: (from: number, to: number, total: number) => `${from}–${to} of ${total}`,

  shell: {
    security: 'My security',
    settings: 'Settings',
    protect: 'Protected calls',
    users: 'Users',
    sessions: 'Sessions',
    audit: 'Audit',
    server: 'Server',
    outbox: 'Outbox',
    tryIt: 'Try it',
    logout: 'Log out',
    admin: 'Administration',
    menu: 'Pages of the console',
    menuButton: 'Menu',
    skip: 'To the content',
    offline: 'No connection to the server. Trying again …',
    offlineLong: 'What you see may be old. The page goes on by itself when the server is back.',
    notFound: 'There is no such page.',
    refused: 'Your account may not see this page.',
  },

  errors: {
    offline: 'The server cannot be reached. Nothing was changed that you were not told of; try again when the connection is back.',
    unknown: 'Something went wrong in this page. Reload it and try again.',
    tooMany: (s: number) => `Too many attempts. Try again in ${s < 120 ? `${s} seconds` : `${Math.ceil(s / 60)} minutes`}.`,
    known: {
      '403': 'The name or the password is wrong.',
      '500': 'The server failed. Its log says why; try again later.',
      'error-not-allowed': 'Your account may not do that.',
      'error-not-authorized': 'Log in first.',
      'error-no-password-or-factor': 'This needs a proof, and your account has neither a password nor a second factor. Set a password with “Forgot the password?” on the login page first.',
      'error-two-factor-setup-required': 'Your role must have a second factor. Set one up on “My security” first.',
      'invalid-totp': 'That code is wrong, or was used before.',
      'error-action-not-allowed': 'Your account may not do that.',
    },
  },

  factors: { totp: 'Authenticator app', email: 'Code by e-mail', password: 'Password' },

  challenge: {
    title: 'Confirm that it is you',
    toLogIn: 'to log in',
    why: (why: string) => `A second proof is needed ${why}.`,
    choose: 'Confirm with',
    app: 'Code of your authenticator app',
    appHint: 'Six digits. A backup code is good here, too.',
    email: 'Code from the mail',
    emailHint: (d: Details) =>
      d.codeGenerated ? 'A code was sent to your verified addresses.' : d.codeCount ? 'The code that was sent before is still good.' : 'Ask for a code with the button below.',
    password: 'Your password',
    passwordHint: 'Your account has no second factor, so the password is asked for once more.',
    confirm: 'Confirm',
    send: 'Send a code',
    resend: 'Send the mail again',
    sent: (to: string[]) => (to.length ? `Sent to ${to.join(', ')}.` : 'Sent.'),
    wrong: 'That code is wrong, was used before, or is too old.',
    tooMany: (ms?: number) => `Too many wrong codes. Nothing is compared now${ms ? `; try again in ${Math.ceil(seconds(ms) / 60)} minutes` : '; try again later or with another factor'}.`,
    another: 'Another proof is needed.',
    remembered: 'For some minutes after this you are not asked again in this browser, unless the protection of an account is changed.',
  },

  login: {
    title: 'Log in',
    name: 'User name or e-mail address',
    password: 'Password',
    stay: 'Stay logged in on this device',
    stayHint: 'Otherwise the login ends when this tab is closed.',
    submit: 'Log in',
    forgot: 'Forgot the password?',
    register: 'Make an account',
    endedElsewhere: 'Your session was ended: by yourself elsewhere, by a change of your account’s protection, or by an administrator.',
    back: 'Back to the login',
  },

  register: {
    title: 'Make an account',
    name: 'Name',
    username: 'User name',
    email: 'E-mail address',
    password: 'Password',
    reason: 'Why you want an account',
    reasonHint: 'An administrator reads it before the account is opened.',
    submit: 'Make the account',
    done: 'The account is made. You can log in.',
    doneVerify: 'The account is made. Follow the link in the mail that was sent to you, then log in.',
    doneApprove: 'The account is made. An administrator has to open it before you can log in.',
    closed: 'New accounts are made by an administrator here.',
  },

  forgot: {
    title: 'Forgot the password?',
    text: 'If an account has this address, a link for a new password is mailed to it.',
    email: 'E-mail address',
    submit: 'Send the link',
    done: 'If an account has this address, the mail is on its way.',
  },

  links: {
    verify: 'Confirm your e-mail address',
    verifyText: 'Press the button to confirm that this address is yours.',
    confirm: 'Confirm',
    verified: 'Your e-mail address is confirmed.',
    reset: 'Choose a new password',
    password: 'New password',
    repeat: 'Once more',
    differ: 'The two passwords differ.',
    saved: 'Your password is set. You can log in with it now.',
  },

  guard: {
    title: 'Leave without saving?',
    text: 'This page has changes that are not saved. They are lost when you leave.',
    leave: 'Leave and discard',
  },

};

export type Texts = typeof texts;
