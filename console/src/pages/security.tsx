// One's own account: how it is protected at a glance, then a section for each
// thing that protects it.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { allows, publicSettings, session, user, type User } from '../session';
import { useQuery } from '../router';
import { texts } from '../texts';
import { Account } from './security/account';
import { Activity } from './security/activity';
import { App } from './security/app';
import { Danger } from './security/danger';
import { Keys } from './security/keys';
import { Mail } from './security/mail';
import { cardOf, hasTokens, jump, useOwn, useSecurityNews, type Own } from './security/own';
import { PasswordSection } from './security/password';
import { Sessions } from './security/sessions';
import { Summary } from './security/summary';
import { Tokens } from './security/tokens';

type Section = {
  /** The name that the summary leads to it with. */
  id: string;
  /** Whether there is something to show. A section without it is always there. */
  shown?(own: Own): boolean;
  /** Beside others, or as wide as the page. */
  wide?: boolean;
  Body: ComponentType<{ id: string; own: Own }>;
};

/** The sections, in their order. One more way to prove who one is, is one more line beside the factors. */
const sections: Section[] = [
  { id: 'keys', Body: Keys, wide: true },
  { id: 'app', Body: App },
  { id: 'mail', Body: Mail },
  { id: 'account', Body: Account },
  { id: 'password', Body: PasswordSection, shown: () => allows('Accounts_AllowUserProfileChange', 'Accounts_AllowPasswordChange') },
  { id: 'tokens', Body: Tokens, wide: true, shown: hasTokens },
  { id: 'sessions', Body: Sessions, wide: true },
  { id: 'activity', Body: Activity, wide: true },
  { id: 'danger', Body: Danger, wide: true, shown: () => publicSettings.value.get('Accounts_AllowDeleteOwnAccount') === true },
];

export function Security() {
  const now = user.value;
  const [last, keep] = useState<User | null>(now);
  // The document is gone for a moment after a reconnect; the page is not.
  useEffect(() => {
    if (now) keep(now);
  }, [now]);
  const u = now ?? (last && last._id === session.value?.userId ? last : null);
  return (
    <>
      <h1>{texts.shell.security}</h1>
      {u ? <Page u={u} /> : <p aria-busy="true">{texts.loading}</p>}
    </>
  );
}

function Page({ u }: { u: User }) {
  useSecurityNews(u._id);
  const own = useOwn(u);
  const [query, change] = useQuery();
  // Other pages lead here to a section.
  useEffect(() => {
    if (!query.show) return;
    jump(query.show);
    change({ show: '' });
  }, [query.show]);
  const shown = sections.filter((s) => s.shown?.(own) ?? true);
  // Those beside others stand together, below what comes before them.
  const pairs = shown.findIndex((s) => !s.wide);
  const body = (s: Section) => <s.Body key={s.id} id={cardOf(s.id)} own={own} />;
  return (
    <>
      <Summary own={own} />
      {shown.slice(0, pairs).map(body)}
      <div class="cards pair">{shown.filter((s) => !s.wide).map(body)}</div>
      {shown.slice(pairs).filter((s) => s.wide).map(body)}
    </>
  );
}
