// The table of pages: a page is one line here, and one file.
import type { ComponentType } from 'preact';
import { texts } from '../texts';

export type Page = {
  path: string;
  title: string;
  /** Who has this permission sees the page in the menu; the server checks every call of it. */
  permission?: string;
  load(): Promise<ComponentType>;
};

export const pages: Page[] = [
  { path: '/security', title: texts.shell.security, load: () => import('./security').then((m) => m.Security) },
  { path: '/settings', title: texts.shell.settings, permission: 'view-privileged-setting', load: () => import('./settings').then((m) => m.Settings) },
  { path: '/protect', title: texts.shell.protect, permission: 'view-privileged-setting', load: () => import('./protect').then((m) => m.Protect) },
  { path: '/users', title: texts.shell.users, permission: 'view-full-other-user-info', load: () => import('./users').then((m) => m.Users) },
  { path: '/try', title: texts.shell.tryIt, load: () => import('./try').then((m) => m.TryIt) },
  { path: '/sessions', title: texts.shell.sessions, permission: 'view-device-management', load: () => import('./sessions').then((m) => m.Sessions) },
  { path: '/audit', title: texts.shell.audit, permission: 'view-logs', load: () => import('./audit').then((m) => m.Audit) },
  { path: '/server', title: texts.shell.server, permission: 'view-privileged-setting', load: () => import('./server').then((m) => m.Server) },
  { path: '/outbox', title: texts.shell.outbox, permission: 'edit-other-user-totp', load: () => import('./outbox').then((m) => m.Outbox) },
];
