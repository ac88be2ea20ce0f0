// Mails of a server that sends none, for whoever develops against it.
import { useEffect, useState } from 'preact/hooks';
import { call } from '../call';
import { connection } from '../session';
import { texts } from '../texts';
import { Card, Copy, Outcome, Shown, Time, useAct, useLoad, useStream } from '../ui/parts';

type Mail = { _id: string; to: string | string[]; subject: string; text: string; at: Date };

export function Outbox() {
  const t = texts.outboxPage;
  const status = useLoad(() => connection.call<{ mail: { readable: boolean } }>('server:status'));
  return (
    <>
      <h1>{texts.shell.outbox}</h1>
      <Shown of={status}>{(s) => (s.mail.readable ? <Mails /> : <p>{t.unavailable}</p>)}</Shown>
    </>
  );
}

function Mails() {
  const t = texts.outboxPage;
  const [mails, setMails] = useState<Mail[] | null>(null);
  const a = useAct();
  const online = connection.online.value;
  const open = () => a.act(async () => setMails((await call<{ mails: Mail[] }>(t.why, 'outbox:list', {})).mails));
  // The server shows mails over a connection that proved a factor; a new one has to do so again.
  useEffect(() => {
    if (online) void open();
    else setMails(null);
  }, [online]);
  useStream('stream-server', mails ? 'outbox' : undefined, ([mail]) => setMails((old) => [mail as Mail, ...(old ?? []).filter((m) => m._id !== (mail as Mail)._id)].slice(0, 100)));
  return (
    <>
      <p class="alert">{t.lead}</p>
      <Outcome of={a} />
      {mails === null ? (
        <button type="button" aria-busy={a.busy} disabled={a.busy} onClick={() => void open()}>
          {t.open}
        </button>
      ) : mails.length === 0 ? (
        <p class="empty">{t.empty}</p>
      ) : (
        mails.map((m) => <One key={m._id} mail={m} />)
      )}
    </>
  );
}

function One({ mail }: { mail: Mail }) {
  const t = texts.outboxPage;
  const code = /^(\d{3})-(\d{3})\s*$/m.exec(mail.text);
  return (
    <Card title={mail.subject} aside={code ? <Copy text={`${code[1]}${code[2]}`} label={t.copyCode(`${code[1]}-${code[2]}`)} /> : undefined}>
      <p>
        {t.to(Array.isArray(mail.to) ? mail.to.join(', ') : mail.to)}, <Time at={mail.at} />
      </p>
      <pre class="mail">{mail.text}</pre>
    </Card>
  );
}
