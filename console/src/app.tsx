// The shell: which page is shown, the navigation, and what is above every page.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { signal } from '@preact/signals';
import { connection, judged, logout, may, session, user } from './session';
import { Challenge } from './challenge';
import { Demand } from './demand';
import { texts } from './texts';
import { go, takeMailedLink, to, usePath, type MailedLink } from './router';
import { Alert } from './ui/parts';
import { Login } from './pages/login';
import { Register } from './pages/register';
import { Forgot } from './pages/forgot';
import { Linked } from './pages/linked';
import { pages, type Page } from './pages';
import { look, outdated } from './update';

const link = signal<MailedLink | null>(takeMailedLink());
addEventListener('hashchange', () => {
  const l = takeMailedLink();
  if (l) link.value = l;
});

export function App() {
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>
        {texts.shell.skip}
      </a>
      <Offline />
      <Updated />
      <Demand />
      {link.value ? <Frame><Linked link={link.value} done={() => (link.value = null)} /></Frame> : session.value ? <Inside /> : <Outside />}
      <Challenge />
    </>
  );
}

// The "#" is the page's, so the link to the content moves the focus itself.
function skip(e: Event) {
  e.preventDefault();
  document.getElementById('content')?.focus();
}

function Frame({ children, nav }: { children: preact.ComponentChildren; nav?: preact.ComponentChildren }) {
  return (
    <div class={nav ? 'frame inside' : 'frame'}>
      {nav}
      <main id="content" tabIndex={-1} class={nav ? 'content' : 'content narrow'}>
        {children}
      </main>
    </div>
  );
}

/** Says that the connection is lost, once that has lasted for a moment. */
function Offline() {
  const online = connection.online.value;
  const [shown, show] = useState(false);
  useEffect(() => {
    if (online) {
      show(false);
      return;
    }
    const timer = setTimeout(() => show(true), 1_500);
    return () => clearTimeout(timer);
  }, [online]);
  return (
    <div role="status" class={shown ? 'offline' : undefined}>
      {shown && (
        <>
          <strong>{texts.shell.offline}</strong> {session.value && texts.shell.offlineLong}
        </>
      )}
    </div>
  );
}

/** Offers to load the console anew once the server has another one. */
function Updated() {
  const [later, put] = useState(false);
  const shown = outdated.value && !later;
  return (
    <div role="status" class={shown ? 'offline updated' : undefined}>
      {shown && (
        <>
          <strong>{texts.shell.updated}</strong> {texts.shell.updatedLong} <Reload />{' '}
          <button type="button" class="secondary small" onClick={() => put(true)}>
            {texts.shell.later}
          </button>
        </>
      )}
    </div>
  );
}

const Reload = () => (
  <button type="button" class="small" onClick={() => location.reload()}>
    {texts.shell.reload}
  </button>
);

function Outside() {
  const path = usePath();
  const page = path === '/register' ? <Register /> : path === '/forgot' ? <Forgot /> : <Login />;
  return <Frame>{page}</Frame>;
}

function Inside() {
  const path = usePath();
  const u = user.value;
  const [known, remember] = useState(false);
  // A reconnect does not take the page away; before the first login there is none.
  if (u && !known) remember(true);
  const page = pages.find((p) => path === p.path || path.startsWith(`${p.path}/`)) ?? (path === '/' || path === '/login' ? pages[0] : undefined);
  if (!known) return <Frame><p aria-busy="true">{texts.loading}</p></Frame>;
  return <Frame nav={<Nav path={page?.path ?? ''} />}>{page ? <Shown key={page.path} page={page} /> : <h1>{texts.shell.notFound}</h1>}</Frame>;
}

const allowed = (p: Page) => !p.permission || may(p.permission);

function Nav({ path }: { path: string }) {
  const entry = (p: Page) => (
    <li key={p.path}>
      <a href={to(p.path)} aria-current={path === p.path ? 'page' : undefined}>
        {p.title}
      </a>
    </li>
  );
  const visible = pages.filter(allowed);
  const admin = visible.filter((p) => p.permission);
  const [open, toggle] = useState(false);
  useEffect(() => toggle(false), [path]);
  return (
    <header class={open ? 'side open' : 'side'}>
      <div class="brand">
        <a href={to('/security')}>{texts.product}</a>
        <button type="button" class="secondary outline small menu" aria-expanded={open} aria-controls="menu" onClick={() => toggle(!open)}>
          {texts.shell.menuButton}
        </button>
      </div>
      <nav id="menu" aria-label={texts.shell.menu}>
        <ul>{visible.filter((p) => !p.permission).map(entry)}</ul>
        {admin.length > 0 && (
          <>
            <p class="group">{texts.shell.admin}</p>
            <ul>{admin.map(entry)}</ul>
          </>
        )}
        <p class="who">
          {user.value?.username ?? ''}
          <button type="button" class="secondary outline small" onClick={() => void logout().then(() => go('/login'))}>
            {texts.shell.logout}
          </button>
        </p>
      </nav>
    </header>
  );
}

function Shown({ page }: { page: Page }) {
  const [Body, set] = useState<ComponentType | null>(null);
  const [failed, fail] = useState(false);
  const [round, again] = useState(0);
  const online = connection.online.value;
  useEffect(() => {
    document.title = `${page.title} · ${texts.product}`;
  }, [page]);
  useEffect(() => {
    let current = true;
    fail(false);
    page.load().then(
      (c) => current && set(() => c),
      () => {
        if (!current) return;
        fail(true);
        void look();
      },
    );
    return () => void (current = false);
  }, [page, round]);
  // What failed for want of a connection may be there when it is back.
  useEffect(() => {
    if (online && failed) again((n) => n + 1);
  }, [online]);
  if (!allowed(page)) return judged.value ? <p role="alert">{texts.shell.refused}</p> : <p aria-busy="true">{texts.loading}</p>;
  if (failed) {
    return (
      <div>
        <h1>{page.title}</h1>
        <Alert>{online ? texts.shell.missing : texts.shell.missingOffline}</Alert>
        <Reload />
      </div>
    );
  }
  return Body ? <Body /> : <p aria-busy="true">{texts.loading}</p>;
}
